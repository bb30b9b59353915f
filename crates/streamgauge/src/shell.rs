//! What every command needs from the outside world: the clock, signals, logs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use streamgauge_events::EventTime;

/// Wall time now. The one place where this program asks for it.
#[allow(clippy::disallowed_methods)]
pub fn now() -> EventTime {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    EventTime(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// A stopwatch; wall time may be set back, this may not.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(std::time::Instant);

impl Stopwatch {
    #[allow(clippy::disallowed_methods)]
    pub fn start() -> Self {
        Self(std::time::Instant::now())
    }

    pub fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

/// Set once SIGTERM or SIGINT has come. A second signal ends the process at once.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Listens on a thread of its own from now on.
    pub fn on_signals() -> anyhow::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let stop = Self::default();
        let flag = stop.clone();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("couldn't start the signal handler")?;
        let (mut terminate, mut interrupt) = {
            let _guard = runtime.enter();
            let listen = |kind| signal(kind).context("couldn't listen for signals");
            (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?)
        };
        std::thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || {
                runtime.block_on(async move {
                    loop {
                        tokio::select! {
                            _ = terminate.recv() => {}
                            _ = interrupt.recv() => {}
                        }
                        if flag.0.swap(true, Ordering::SeqCst) {
                            std::process::exit(130);
                        }
                    }
                });
            })
            .context("couldn't start the signal handler")?;
        Ok(stop)
    }

    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    pub fn set(&self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Columns of the terminal that standard output goes to, or else what `COLUMNS` says. `None`: a file or a pipe.
pub fn columns() -> Option<usize> {
    let told = || std::env::var("COLUMNS").ok()?.parse().ok();
    terminal_size::terminal_size_of(std::io::stdout()).map(|(width, _)| usize::from(width.0)).or_else(told)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people: one line an event, in colour on a terminal
    Human,
    /// For machines: one JSON object an event
    Json,
}

/// Logs go to standard error. `level` is a `tracing` filter such as `info` or `streamgauge=debug,rdkafka=warn`.
pub fn start_logs(format: LogFormat, level: &str) -> anyhow::Result<()> {
    use std::io::IsTerminal as _;
    let filter = tracing_subscriber::EnvFilter::try_new(level)
        .with_context(|| format!("log level {level:?} is no filter: try error, warn, info, debug or trace"))?;
    // A line that can't be written, because its reader has gone, is no reason to stop counting: unless told otherwise,
    // the subscriber would complain about it on the same standard error, and panic.
    let logs =
        tracing_subscriber::fmt().with_env_filter(filter).log_internal_errors(false).with_writer(std::io::stderr);
    match format {
        LogFormat::Human => logs.with_ansi(std::io::stderr().is_terminal()).with_target(false).init(),
        LogFormat::Json => logs.json().flatten_event(true).init(),
    }
    Ok(())
}
