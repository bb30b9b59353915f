//! What each kind of SLI says of lines of events: through the real stage, the real fold and the real judge.
//!
//! A line is an event in offset order; the table is what `streamgauge windows --sli` is made of.

mod changed;
mod coverage;
mod from_events;
mod from_values;
mod grouped;
mod in_time;
mod names;
mod oracle;
mod played;
mod random;
