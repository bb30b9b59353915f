//! What the benchmarks share: records to feed, a ledger to feed them to, Kafka topics of their own, a look at a process,
//! the peers in Java.
//!
//! Must never know: what a good figure is. A benchmark reports; nothing here fails because a machine is slow.

pub mod kafka;
pub mod peers;
pub mod process;
pub mod records;
