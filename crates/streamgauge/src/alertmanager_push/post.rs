//! One thread for each Alertmanager, and the book that they share with the reader.
//!
//! Nobody holds the book while something is sent: an Alertmanager that is away keeps neither the reader nor another
//! Alertmanager waiting.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use streamgauge_slo::Transition;
use tracing::{debug, info, warn};

use super::body::{PostableAlert, Saying};
use super::book::{Book, Moment};
use super::client::{Address, Answer, Client};
use crate::shell::{Stop, Stopwatch, now};

/// Alerts in one post: as many as Prometheus sends.
const BATCH_MAX: usize = 64;
/// Between attempts while an Alertmanager is away: doubled from the first to the last, and never given up.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));
/// How often somebody looks whether something is due.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// The book, and what is known of those who are told.
#[derive(Clone)]
pub struct Shared(Arc<(Mutex<State>, Condvar)>);

pub struct State {
    pub book: Book,
    pub receivers: Vec<Receiver>,
    /// The topic has been read to the end that it had at the start: until then, what seems to fire may be over.
    pub is_caught_up: bool,
    /// Why Kafka can't be read, while it can't.
    pub kafka_failing: Option<String>,
    pub read: Read,
    since: Stopwatch,
}

/// Records that were read, by what they say.
#[derive(Clone, Copy, Debug, Default)]
pub struct Read {
    pub pending: u64,
    pub dropped: u64,
    pub fired: u64,
    pub resolved: u64,
    pub unreadable: u64,
}

impl Read {
    pub const fn count(&mut self, transition: Transition) {
        match transition {
            Transition::Pending => self.pending += 1,
            Transition::Dropped => self.dropped += 1,
            Transition::Fired => self.fired += 1,
            Transition::Resolved => self.resolved += 1,
        }
    }
}

#[derive(Clone, Debug, Default)]
pub struct Receiver {
    pub url: String,
    /// Whether the last post was answered; `None`: nothing was posted yet.
    pub is_up: Option<bool>,
    pub accepted: u64,
    pub refused: u64,
    pub failed: u64,
    /// Alerts in posts that were accepted.
    pub alerts: u64,
    last: Option<Duration>,
}

/// What is to be posted, with what it says: fingerprint and id of each transition.
struct Batch {
    alerts: Vec<PostableAlert>,
    said: Vec<(String, String)>,
}

impl Shared {
    pub fn new(addresses: &[Address], resend: Duration) -> Self {
        let receiver = |address: &Address| Receiver { url: address.as_str().to_owned(), ..Receiver::default() };
        let state = State {
            book: Book::new(addresses.len(), resend),
            receivers: addresses.iter().map(receiver).collect(),
            is_caught_up: false,
            kafka_failing: None,
            read: Read::default(),
            since: Stopwatch::start(),
        };
        Self(Arc::new((Mutex::new(state), Condvar::new())))
    }

    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// There may be something to do.
    pub fn wake(&self) {
        self.0.1.notify_all();
    }

    fn nap(&self, at_most: Duration) {
        let guard = self.lock();
        drop(self.0.1.wait_timeout(guard, at_most).unwrap_or_else(PoisonError::into_inner));
    }
}

impl State {
    pub fn moment(&self) -> Moment {
        Moment { wall: now(), elapsed: self.since.elapsed() }
    }

    /// What is due, or an empty post where nothing was posted for as long as a resend takes: who is away should be known before
    /// it is needed.
    fn take(&mut self, receiver: usize, saying: &Saying) -> Option<Batch> {
        let moment = self.moment();
        if !self.is_caught_up {
            return None;
        }
        let due = self.book.due(receiver, moment, BATCH_MAX);
        let alerts: Vec<PostableAlert> =
            due.iter().map(|alarm| PostableAlert::of(alarm, saying, moment.wall)).collect();
        let said = due.iter().map(|alarm| (alarm.newest().fingerprint.clone(), alarm.newest().id.clone())).collect();
        let is_silent = self.receivers[receiver].last.is_none_or(|last| moment.elapsed >= last + saying.resend);
        (!alerts.is_empty() || is_silent).then_some(Batch { alerts, said })
    }

    fn settle(&mut self, index: usize, batch: &Batch, answer: &Answer) {
        let moment = self.moment();
        let receiver = &mut self.receivers[index];
        receiver.last = Some(moment.elapsed);
        match answer {
            Answer::Accepted => {
                receiver.accepted += 1;
                receiver.alerts += batch.alerts.len() as u64;
            }
            Answer::Refused(_) => receiver.refused += 1,
            Answer::Away(_) => receiver.failed += 1,
        }
        receiver.is_up = Some(!matches!(answer, Answer::Away(_)));
        // What is refused is tried again at the next resend, not at once.
        if !matches!(answer, Answer::Away(_)) {
            for (fingerprint, id) in &batch.said {
                self.book.taken(index, fingerprint, id, moment);
            }
        }
    }
}

/// Posts what is due until told to stop, and then what has not been told yet, without a second attempt.
pub fn run(shared: &Shared, index: usize, client: &Client, saying: &Saying, stop: &Stop) {
    let mut pause = PAUSES.0;
    loop {
        let is_last = stop.is_set();
        if is_last && !shared.lock().book.has_news(index) {
            return;
        }
        // What follows a lock in a condition would hold it on.
        let batch = shared.lock().take(index, saying);
        let Some(batch) = batch else {
            if is_last {
                return;
            }
            shared.nap(LOOK_EVERY);
            continue;
        };
        let answer = client.post(&batch.alerts);
        let was_up = {
            let mut state = shared.lock();
            let was_up = state.receivers[index].is_up;
            state.settle(index, &batch, &answer);
            was_up
        };
        report(client, &batch, &answer, was_up);
        match answer {
            Answer::Away(_) if is_last => return,
            Answer::Away(_) => {
                wait(pause, stop);
                pause = (pause * 2).min(PAUSES.1);
            }
            _ => pause = PAUSES.0,
        }
    }
}

fn report(client: &Client, batch: &Batch, answer: &Answer, was_up: Option<bool>) {
    let alertmanager = client.url();
    let alerts = batch.alerts.len();
    match answer {
        Answer::Accepted if was_up != Some(true) => info!(alertmanager, alerts, "Alertmanager takes alerts"),
        Answer::Accepted => debug!(alertmanager, alerts, "posted"),
        Answer::Refused(said) => warn!(alertmanager, alerts, said, "Alertmanager refuses an alert"),
        Answer::Away(said) if was_up != Some(false) => {
            warn!(alertmanager, alerts, said, "can't reach Alertmanager: trying again, and reading on");
        }
        Answer::Away(said) => debug!(alertmanager, alerts, said, "still can't reach Alertmanager"),
    }
}

fn wait(pause: Duration, stop: &Stop) {
    let since = Stopwatch::start();
    while !stop.is_set() && since.elapsed() < pause {
        std::thread::sleep(LOOK_EVERY.min(pause.saturating_sub(since.elapsed())));
    }
}
