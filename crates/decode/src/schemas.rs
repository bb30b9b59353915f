//! The newest Avro schema of each kind: what we write, and by whose names and aliases we read.

use streamgauge_events::Kind;

/// The text of `schemas/<kind>-v1.avsc`.
pub fn current(kind: Kind) -> &'static str {
    match kind {
        Kind::Request => include_str!("../../../schemas/request-v1.avsc"),
        Kind::Score => include_str!("../../../schemas/score-v1.avsc"),
        Kind::Resource => include_str!("../../../schemas/resource-v1.avsc"),
    }
}
