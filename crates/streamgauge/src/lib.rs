//! The command line, and the shell around the stages. Here live clocks, files, threads, HTTP and the Kafka client; no
//! rule about what counts.

pub mod alertmanager_push;
pub mod audit;
pub mod backfill;
pub mod backtest;
pub mod cli;
pub mod commands;
pub mod dashboard;
pub mod definitions;
pub mod demo;
pub mod eval;
pub mod explain;
pub mod facts_input;
pub mod file_log;
pub mod gate;
pub mod import;
pub mod kafka_args;
pub mod load;
pub mod mapping;
pub mod objectives;
pub mod overrides;
pub mod serve;
pub mod shell;
pub mod sla;
pub mod sli;
pub mod slices_text;
pub mod slo;
pub mod slo_text;
pub mod status;
pub mod topic_input;
pub mod topics;
pub mod validate;
pub mod verify;
pub mod windows;
pub mod windows_text;
