//! What can go wrong in a call, decided by a seed. A client without faults pays one branch per call.

use std::cell::Cell;
use std::rc::Rc;

use streamgauge_stage::LogError;

use crate::random::SplitMix64;

/// The calls of [`streamgauge_stage::Log`] in which a fault can strike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Call {
    Poll,
    Committed,
    Assign,
    Release,
    Partitions,
    ReadBack,
    Begin,
    Produce,
    SendOffsets,
    Commit,
    Abort,
    RenewProducer,
}

impl Call {
    /// Calls that change what the broker holds: interesting moments to die in.
    const fn writes(self) -> bool {
        matches!(
            self,
            Self::Begin | Self::Produce | Self::SendOffsets | Self::Commit | Self::Abort | Self::RenewProducer
        )
    }
}

/// Probabilities per call.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct FaultRates {
    /// The call fails before it has any effect, and may be tried again.
    pub retriable: f64,
    /// The transaction fails in `produce` (noticed by `send_offsets`), `send_offsets` or `commit`: before the effect or
    /// after it.
    pub abortable: f64,
    /// The answer to `commit` or `abort` is lost: before the effect or after it.
    pub ambiguous: f64,
    /// A request reaches the broker twice.
    pub repeated: f64,
    /// A poll's heartbeat does not reach the group.
    pub heartbeat_lost: f64,
    /// `leave` does not reach the group.
    pub leave_lost: f64,
    /// The process dies, before the effect or after it. (In a poll at a tenth of this rate: there are so many.)
    pub crash: f64,
    /// The process stands still for seconds before the effect of a call that writes: its session or its transaction may
    /// time out meanwhile.
    pub stall: f64,
    /// A poll hands over few records.
    pub short_poll: f64,
}

/// Unwinds through the worker when its process "dies": whoever runs the worker catches it and runs no more of its code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessDied {
    pub during: Call,
    pub after_effect: bool,
}

/// How often each kind of fault struck.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FaultCounts {
    pub retriable: u64,
    pub abortable: u64,
    pub ambiguous: u64,
    pub repeated: u64,
    pub heartbeats_lost: u64,
    pub stalls: u64,
    pub crashes: u64,
}

#[derive(Debug)]
pub struct Faults {
    rates: FaultRates,
    /// Dies at this boundary: two per call, before and after its effect.
    crash_at: Option<u64>,
    boundaries: u64,
    /// No heartbeat arrives, while reads and transactions do: what makes a zombie.
    isolated: Rc<Cell<bool>>,
    random: SplitMix64,
    counts: FaultCounts,
}

/// What a fault does to one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Blow {
    None,
    /// The call has no effect and fails.
    Before(LogError),
    /// The call has its effect and fails all the same.
    After(LogError),
}

impl Faults {
    pub fn none() -> Self {
        Self::new(0, FaultRates::default())
    }

    pub fn new(seed: u64, rates: FaultRates) -> Self {
        let random = SplitMix64::new(seed);
        let (isolated, counts) = (Rc::default(), FaultCounts::default());
        Self { rates, crash_at: None, boundaries: 0, isolated, random, counts }
    }

    /// Nothing goes wrong but that the process dies at the given boundary: each call has one before its effect and one
    /// after.
    pub fn crash_at(boundary: u64) -> Self {
        Self { crash_at: Some(boundary), ..Self::none() }
    }

    /// From now on nothing goes wrong any more.
    pub fn heal(&mut self) {
        self.rates = FaultRates::default();
        self.crash_at = None;
        self.isolated.set(false);
    }

    /// Cuts the client off from its group, or connects it again. It goes on reading and writing: a zombie.
    pub fn isolate(&mut self, isolated: bool) {
        self.isolated.set(isolated);
    }

    pub(crate) fn isolated(&self) -> Rc<Cell<bool>> {
        Rc::clone(&self.isolated)
    }

    /// Boundaries passed so far.
    pub fn boundaries(&self) -> u64 {
        self.boundaries
    }

    pub fn counts(&self) -> FaultCounts {
        self.counts
    }

    /// Called with nothing borrowed: it may unwind.
    pub(crate) fn maybe_die(&mut self, during: Call, after_effect: bool) {
        let boundary = self.boundaries;
        self.boundaries += 1;
        let rate = if during.writes() { self.rates.crash } else { self.rates.crash / 10.0 };
        if self.crash_at == Some(boundary) || self.random.chance(rate) {
            self.counts.crashes += 1;
            // Not `panic!`: this is no bug to be reported, so the panic hook stays silent.
            std::panic::resume_unwind(Box::new(ProcessDied { during, after_effect }));
        }
    }

    /// For how long the process stands still now.
    pub(crate) fn stall_us(&mut self, call: Call) -> Option<i64> {
        let stalls = call.writes() && self.random.chance(self.rates.stall);
        self.counts.stalls += u64::from(stalls);
        stalls.then(|| 500_000 + self.random.below(15_000_000) as i64)
    }

    pub(crate) fn blow(&mut self, call: Call) -> Blow {
        if self.random.chance(self.rates.retriable) {
            self.counts.retriable += 1;
            return Blow::Before(LogError::Retriable(format!("simulated, in {call:?}")));
        }
        if matches!(call, Call::Produce | Call::SendOffsets | Call::Commit) && self.random.chance(self.rates.abortable)
        {
            self.counts.abortable += 1;
            // A commit that fails so was refused; the other two may have arrived.
            return self.either(LogError::Abortable(format!("simulated, in {call:?}")), call != Call::Commit);
        }
        if matches!(call, Call::Commit | Call::Abort) && self.random.chance(self.rates.ambiguous) {
            self.counts.ambiguous += 1;
            return self.either(LogError::Ambiguous(format!("simulated, in {call:?}")), true);
        }
        if call == Call::RenewProducer && self.random.chance(self.rates.retriable) {
            self.counts.retriable += 1;
            return Blow::After(LogError::Retriable("simulated: the new epoch's answer was lost".to_owned()));
        }
        Blow::None
    }

    fn either(&mut self, error: LogError, may_be_after: bool) -> Blow {
        if may_be_after && self.random.chance(0.5) { Blow::After(error) } else { Blow::Before(error) }
    }

    pub(crate) fn repeats(&mut self) -> bool {
        let repeats = self.random.chance(self.rates.repeated);
        self.counts.repeated += u64::from(repeats);
        repeats
    }

    pub(crate) fn loses_heartbeat(&mut self) -> bool {
        let lost = self.isolated.get() || self.random.chance(self.rates.heartbeat_lost);
        self.counts.heartbeats_lost += u64::from(lost);
        lost
    }

    pub(crate) fn loses_leave(&mut self) -> bool {
        self.random.chance(self.rates.leave_lost)
    }

    /// How many records this poll hands over at most.
    pub(crate) fn poll_records(&mut self, most: usize) -> usize {
        if self.random.chance(self.rates.short_poll) { 1 + self.random.below(4) as usize } else { most }
    }
}
