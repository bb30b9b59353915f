//! The only place of this crate that reads a clock: for bounds on waiting and for measuring, never for results.

use std::time::{Duration, Instant};

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

    pub fn elapsed_us(self) -> u64 {
        u64::try_from(self.0.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// What is left of `limit`; `None` once it has passed.
    pub fn left(self, limit: Duration) -> Option<Duration> {
        limit.checked_sub(self.elapsed()).filter(|left| !left.is_zero())
    }
}

/// Drops `value` on a thread of its own and waits at most `limit` for that. librdkafka may take long to tear a client
/// down, and once hung for ever: ending the process must not depend on it. Answers whether the drop came to its end.
pub fn drop_within<T: Send + 'static>(value: T, limit: Duration) -> bool {
    let (done, ended) = std::sync::mpsc::channel();
    let spawned = std::thread::Builder::new().name("client teardown".to_owned()).spawn(move || {
        drop(value);
        // The receiver may have stopped waiting.
        let _ = done.send(());
    });
    spawned.is_ok() && ended.recv_timeout(limit).is_ok()
}
