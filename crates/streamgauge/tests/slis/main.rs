//! Defining SLIs and SLOs from outside: what `validate`, `eval`, `backfill`, `windows --sli` and the commands about SLOs print,
//! and the codes that they end with.

mod backfill;
mod backtest;
mod blind;
mod changed;
mod eval;
mod explain;
mod gate;
mod program;
mod real_data;
mod sla;
mod slos;
mod status;
mod validate;
mod windows;
