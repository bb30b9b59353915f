//! Results against the truth of whoever produced the records. Judges what has been read; reads nothing itself.

pub mod judge;
