//! Event time: what a record says about when it happened. Never the time at which it was read.

use serde::{Deserialize, Serialize};

/// Microseconds since the Unix epoch, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventTime(pub i64);

impl EventTime {
    /// Earlier than every record: the watermark of a partition that has none yet.
    /// A power of two far from the ends of i64, so that adding a horizon can't overflow.
    pub const BEFORE_ALL: Self = Self(-(1 << 60));
    /// Later than every record: the watermark of a bounded input that has ended.
    pub const AFTER_ALL: Self = Self(1 << 60);
    /// 9999-12-31T23:59:59.999999Z, the last instant that RFC 3339 can write; later timestamps are out of range.
    pub const MAX_RECORD: Self = Self(253_402_300_799_999_999);

    /// The largest multiple of `step_us` not above this time.
    pub const fn floor(self, step_us: i64) -> Self {
        Self(self.0.div_euclid(step_us) * step_us)
    }

    pub const fn plus_us(self, us: i64) -> Self {
        Self(self.0 + us)
    }

    pub const fn minus_us(self, us: i64) -> Self {
        Self(self.0 - us)
    }
}

#[cfg(test)]
mod tests {
    use super::EventTime;

    #[test]
    fn floor_rounds_towards_the_past_also_before_the_epoch() {
        for (ts, expected) in [(0, 0), (9, 0), (10, 10), (-1, -10), (-10, -10), (-11, -20)] {
            assert_eq!(EventTime(ts).floor(10), EventTime(expected), "floor of {ts}");
        }
    }
}
