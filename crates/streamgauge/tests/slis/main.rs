//! Defining SLIs and SLOs from outside: what `validate`, `eval`, `backfill`, `windows --sli` and `status` print, and the codes
//! that they end with.

mod backfill;
mod changed;
mod eval;
mod program;
mod slos;
mod status;
mod validate;
mod windows;
