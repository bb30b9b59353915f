//! scenario + seed → requests, and exactly what must come of them
//!
//! A scenario file describes a system: services, traffic, planted faults, disorder, broken records. The [`Generator`]
//! turns it and a seed into records in append order, the same bytes on every machine. The [`Truth`] says, from what was
//! delivered, what the golden signals must be; a [`Manifest`] keeps it in a file, and [`Truth::compare`] judges results.
//!
//! Must never know: clocks, files, Kafka, threads, and the crates that count (`stats`, `stage`, `stage-sli`). The truth is
//! worth something only because it shares no code with what it judges.

// What goes in.
mod check;
pub mod instant;
pub mod rate;
pub mod scenario;

// What is drawn from.
mod latency;
mod maths;
mod plan;
mod random;

// What comes out.
pub mod generator;
mod record;

// What must come of it.
pub mod compare;
pub mod manifest;
pub mod truth;

pub use compare::{Comparison, Difference, Observed};
pub use generator::{Generated, Generator, Until};
pub use manifest::{Manifest, ManifestError};
pub use record::{Breakage, Facts, Kind};
pub use scenario::{Planted, Scenario, ScenarioError};
pub use truth::{Cell, PartitionTruth, Series, Truth, TruthParameters};
