//! Defining SLIs from outside: what `validate`, `eval`, `backfill` and `windows --sli` print, and
//! the codes that they end with.

mod backfill;
mod changed;
mod eval;
mod program;
mod validate;
mod windows;
