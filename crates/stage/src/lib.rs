//! The contract between stages and what runs them: records in, facts out, time as an argument.
//!
//! [`Log`] is the bus as a worker sees it, [`Worker`] the one loop that every stage runs in, [`Ledger`] the numbered
//! chain of batches that makes results exact. Must never know: any one stage, rdkafka, tokio, files, a clock.

pub mod counting;
pub mod ledger;
pub mod log;
pub mod metadata;
pub mod outbox;
pub mod settings;
pub mod worker;

pub use counting::Counting;
pub use ledger::{BatchHead, Cells, Ledger, Standing, Unusable};
pub use log::{Committed, Delivery, Log, LogError, Polled, Position, Record, Source};
pub use metadata::{Activation, CommitMetadata};
pub use outbox::{Outbox, Output, Placement};
pub use settings::{TimeSettings, WorkerSettings};
pub use worker::{CannotOpen, Exit, Note, Partition, Stage, Turn, Worker};

/// Why a stage refuses to go on. Every message names the remedy: somebody reads it at night.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Halt {
    #[error(
        "{source_topic}/{partition}: folding again up to offset {offset} gave {found}, but {committed} was committed. The log or the \
         definitions changed under a committed offset. Compare `streamgauge audit`; to begin a new chain here, restart \
         with --new-generation"
    )]
    RefoldDiffers { source_topic: String, partition: i32, offset: i64, found: String, committed: String },
    #[error(
        "{source_topic}/{partition}: the metadata of the committed offset can't be read ({message}). It was written by something \
         else, or by a newer version. To begin a new chain at the committed offset, restart with --new-generation"
    )]
    MetadataUnreadable { source_topic: String, partition: i32, message: String },
    #[error(
        "{source_topic}/{partition}: the group's offset carries no metadata, but the output holds batches of generation \
         {generation} up to offset {to}. Was the group's offset reset, or did it expire? Going on could count records twice or never. \
         To begin a new chain at the committed offset, restart with --new-generation"
    )]
    MetadataMissing { source_topic: String, partition: i32, generation: u32, to: i64 },
    #[error(
        "{source_topic}/{partition}: pane length, disorder, horizon or skew changed from {committed} to {configured}. Live panes can't \
         follow. Set them back, or restart with --new-generation"
    )]
    TimeSettingsChanged { source_topic: String, partition: i32, committed: String, configured: String },
    #[error(
        "{source_topic}/{partition}: definitions {hash} made facts that are still open, but the state topic does not hold them. Was \
         it emptied? Restore it, or restart with --new-generation"
    )]
    BundleUnknown { source_topic: String, partition: i32, hash: String },
    #[error(
        "{source_topic}/{partition}: more than {max} changes of definitions within the late horizon. Keep the previous definitions \
         until {until} (event time, microseconds), or restart with --new-generation"
    )]
    TooManyBundles { source_topic: String, partition: i32, max: usize, until: i64 },
    #[error(
        "{source_topic}/{partition}: definitions {hash} read it as {before}, now it is to be read as {now}. Records of both kinds \
         may be open. Give the new kind a topic of its own, or restart with --new-generation"
    )]
    SourceChanged { source_topic: String, partition: i32, hash: String, before: String, now: String },
    #[error(
        "{topic}/{partition} can't be used: {why}. Is it of another group, or was it emptied? Restore it; or begin anew: stop the \
         stage, delete the group's offsets (kafka-consumer-groups --delete), and start it again: everything is counted from the \
         facts that there still are"
    )]
    StateUnusable { topic: String, partition: i32, why: String },
    #[error(
        "facts are missing: {0}. Ask `streamgauge audit`. To go on without them, restart with --accept-hole: what they concern \
         is `no coverage`"
    )]
    FactsMissing(String),
    #[error("the definitions can't be used: {0}")]
    Definitions(String),
}
