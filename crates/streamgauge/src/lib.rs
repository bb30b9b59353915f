//! The command line, and the shell around the stages. Here live clocks, files, threads, HTTP and the Kafka client; no
//! rule about what counts.

pub mod cli;
pub mod shell;
pub mod sli;
