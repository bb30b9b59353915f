//! Defining SLIs from outside: what `validate`, `eval` and `windows --sli` print, and the codes that they end with.

mod eval;
mod program;
mod validate;
mod windows;
