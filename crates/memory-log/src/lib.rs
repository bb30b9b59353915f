//! An in-memory bus with the semantics of Kafka that exactly-once depends on.
//!
//! It serves the demo, the embedded mode and the simulator. Markers occupy offsets and land partition by partition,
//! readers stop at the last stable offset, the group's offsets are fetched stable, transactional commits are checked
//! against the generation, producers are fenced by epoch, and answers get lost. Time and seeds are arguments: a whole
//! run under faults repeats. Must never know: a clock, IO, any stage.
//!
//! [`Broker`] is the bus, [`MemoryLog`] one worker's client of it, [`Faults`] what goes wrong between them.
//!
//! ```
//! use streamgauge_events::EventTime;
//! use streamgauge_memory_log::Broker;
//!
//! let broker = Broker::default();
//! broker.create_topic("requests", 4);
//! broker.advance_to(EventTime(1_700_000_000_000_000));
//! let offset = broker.append("requests", 3, None, Some(br#"{"ts":1700000000000000,"service":"checkout"}"#));
//! assert_eq!((offset, broker.records("requests", 3).len()), (0, 1));
//! ```

pub mod broker;
pub mod client;
pub mod faults;
mod group;
mod partition;
pub mod random;
mod transactions;

pub use broker::{Broker, BrokerSettings, Fate};
pub use client::{ClientConfig, MemoryLog};
pub use faults::{Call, FaultCounts, FaultRates, Faults, ProcessDied};
pub use group::GroupOffset;
pub use partition::{RecordRef, StoredRecord};
pub use random::SplitMix64;
