//! Facts of source partitions → what objectives tell, without worker or log.

mod facts;
mod interleavings;
mod support;
