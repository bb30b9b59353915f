//! The one place of the end-to-end tests that reads clocks.

use std::time::{Duration, Instant, SystemTime};

/// Wall time, microseconds since the Unix epoch.
#[allow(clippy::disallowed_methods)]
pub fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    since.as_micros() as i64
}

#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    #[allow(clippy::disallowed_methods)]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    pub fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}
