//! One objective, evaluated at grid points: counts → sums → budget, burn rates, alerts.
//!
//! At each grid point the caller goes on to it ([`Evaluator::advance`]), adds what it holds beyond the last one
//! ([`Evaluator::add`]), and asks what follows ([`Evaluator::evaluate`]). What comes late for a window that still lasts
//! changes the sums from then on, and nothing that was said before.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use streamgauge_events::EventTime;

use crate::alert::{Alert, Condition, Rule, Transition, Verdict};
use crate::budget::Budget;
use crate::calendar::Period;
use crate::forecast::{self, Forecast};
use crate::saved::{CHUNK, Part, SavedHead, TallyText};
use crate::significance::is_significant;
use crate::sums::{Sums, Tally, WindowId};
use crate::target::{Fraction, Target};

/// How bad ones become spent budget, as in OpenSLO.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Each event counts alike.
    Occurrences,
    /// Each slice counts alike; it is good if at least `target` of its events are.
    Timeslices { target: Fraction, width_us: i64 },
    /// Each slice counts alike, by its share of bad events.
    RatioTimeslices { width_us: i64 },
}

/// Shares of slices are counted in millionths of millionths.
const RATIO_UNIT: i128 = 1_000_000_000_000;

impl Method {
    pub const fn width_us(self) -> Option<i64> {
        match self {
            Self::Occurrences => None,
            Self::Timeslices { width_us, .. } | Self::RatioTimeslices { width_us } => Some(width_us),
        }
    }

    /// In whole events or slices, rounded down: so many there are for chance to choose from.
    const fn whole(self, tally: Tally) -> Tally {
        match self {
            Self::RatioTimeslices { .. } => Tally::new(tally.bad / RATIO_UNIT, tally.total / RATIO_UNIT),
            _ => tally,
        }
    }

    /// What a slice spends, and of how much. A slice without events is none.
    fn worth(self, slice: Tally) -> Tally {
        if slice.total == 0 {
            return Tally::default();
        }
        match self {
            Self::Occurrences => slice,
            Self::Timeslices { target, .. } => {
                // g D_s >= T_s n.
                let (good, of) = (i128::from(target.numerator), i128::from(target.denominator));
                Tally::new((slice.good() * of < good * slice.total).into(), 1)
            }
            // Rounded half up: (2 10^12 bad + n) div (2 n).
            Self::RatioTimeslices { .. } => {
                Tally::new((2 * RATIO_UNIT * slice.bad + slice.total) / (2 * slice.total), RATIO_UNIT)
            }
        }
    }
}

/// A promise, and the alarms about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Objective {
    pub target: Target,
    pub method: Method,
    pub period: Period,
    pub rules: Vec<Rule>,
}

/// The state of one objective.
#[derive(Clone, Debug)]
pub struct Evaluator {
    objective: Objective,
    sums: Sums,
    events: Sums,
    slices: Slices,
    period: WindowId,
    /// The calendar's span that holds the grid point.
    span: Option<(EventTime, EventTime)>,
    alarms: Vec<Alarm>,
    now: EventTime,
    /// What is added at once spans so much: a pane, or a slice of an SLI that judges slices.
    step_us: i64,
    /// Where the whole period is asked for, and not what came of it so far: the first and the last pane in which anything came,
    /// once there is one.
    projects: Option<Option<(EventTime, EventTime)>>,
}

#[derive(Clone, Debug)]
struct Alarm {
    windows: Windows,
    alert: Alert,
}

/// The windows that a condition looks at.
#[derive(Clone, Copy, Debug)]
enum Windows {
    None,
    Two { long: WindowId, short: WindowId },
}

/// Forecasts go by the last six hours.
const RECENT_US: i64 = 6 * 3_600_000_000;

impl Evaluator {
    pub fn new(objective: Objective, pane_us: i64) -> Self {
        let mut sums = Sums::new(pane_us);
        let mut events = Sums::new(pane_us);
        let period = match objective.period {
            Period::Rolling { length_us } => sums.sliding(length_us),
            Period::Calendar(_) => sums.since(),
        };
        sums.sliding(RECENT_US);
        let alarms = objective
            .rules
            .iter()
            .map(|rule| {
                let windows = match rule.condition {
                    Condition::Burn(tier) => {
                        Windows::Two { long: sums.sliding(tier.long_us), short: sums.sliding(tier.short_us) }
                    }
                    Condition::Absence { silent_us, within_us } => {
                        Windows::Two { long: events.sliding(within_us), short: events.sliding(silent_us) }
                    }
                    Condition::Remaining { .. } => Windows::None,
                };
                Alarm { windows, alert: Alert::default() }
            })
            .collect();
        let slices = Slices {
            method: objective.method,
            slices: BTreeMap::new(),
            closed: EventTime::BEFORE_ALL,
            changed: BTreeSet::new(),
        };
        let now = EventTime::BEFORE_ALL;
        Self { objective, sums, events, slices, period, span: None, alarms, now, step_us: pane_us, projects: None }
    }

    /// From now on the budget is that of the whole period: where the counts reach back for a part of it only, or it is not
    /// over, the rest is taken to be as busy as it was while anything came. Else the first error after a deployment would have spent all there is.
    pub fn projected(mut self) -> Self {
        self.projects = Some(None);
        self
    }

    /// What is added spans so much, and not a pane.
    pub fn by_steps_of(mut self, step_us: i64) -> Self {
        self.step_us = step_us;
        self
    }

    pub const fn objective(&self) -> &Objective {
        &self.objective
    }

    /// Goes on to a later grid point.
    pub fn advance(&mut self, now: EventTime) {
        self.now = now;
        self.sums.advance(now);
        self.events.advance(now);
        if let Period::Calendar(calendar) = &self.objective.period
            && self.span.is_none_or(|(_, to)| to < now)
        {
            // What ends at the boundary belongs to the span before it.
            let span = calendar.span(now.minus_us(1));
            self.sums.begin(self.period, span.0);
            self.span = Some(span);
        }
    }

    /// Adds to a pane that ends at the grid point or before.
    pub fn add(&mut self, pane: EventTime, change: Tally) {
        if let Some(seen) = self.projects.as_mut().filter(|_| change.total > 0) {
            *seen = Some(seen.map_or((pane, pane), |(first, last)| (first.min(pane), last.max(pane))));
        }
        self.events.add(pane, change);
        match self.objective.method.width_us() {
            None => self.sums.add(pane, change),
            Some(width_us) => self.slices.add(pane.floor(width_us), change, width_us, &mut self.sums),
        }
    }

    /// Moves every alarm; what has changed, by the number of the rule.
    pub fn evaluate(&mut self) -> Vec<(usize, Transition)> {
        if let Some(width_us) = self.objective.method.width_us() {
            self.slices.close(self.now, width_us, &mut self.sums);
            let mut oldest = self.sums.from(self.period);
            for (index, alarm) in self.alarms.iter().enumerate() {
                if let (Condition::Burn(_), Windows::Two { long, short }) =
                    (&self.objective.rules[index].condition, alarm.windows)
                {
                    oldest = oldest.min(self.sums.from(long)).min(self.sums.from(short));
                }
            }
            self.slices.forget_before(oldest, width_us);
        }
        let mut transitions = Vec::new();
        for index in 0..self.alarms.len() {
            let (rule, windows) = (&self.objective.rules[index], self.alarms[index].windows);
            let (verdict, points) = (self.verdict(&rule.condition, windows), rule.pending_points);
            let transition = self.alarms[index].alert.step(self.now, verdict, points);
            transitions.extend(transition.map(|transition| (index, transition)));
        }
        transitions
    }

    fn verdict(&self, condition: &Condition, windows: Windows) -> Verdict {
        let of = |holds: Option<bool>| match holds {
            None => Verdict::SaysNothing,
            Some(true) => Verdict::Holds,
            Some(false) => Verdict::Clear,
        };
        let target = self.objective.target;
        match (condition, windows) {
            (Condition::Burn(tier), Windows::Two { long, short }) => {
                let (long, short) = (self.sums.sum(long), self.sums.sum(short));
                let burns = target
                    .burns_above(short, tier.factor)
                    .map(|burns| burns && target.burns_above(long, tier.factor) == Some(true));
                match burns {
                    // What burns is no reason to fire while it may be chance, nor to resolve.
                    Some(true) if !is_significant(self.objective.method.whole(long), target, tier.factor) => {
                        Verdict::SaysNothing
                    }
                    burns => of(burns),
                }
            }
            (Condition::Absence { .. }, Windows::Two { long, short }) => {
                let (long, short) = (self.events.sum(long), self.events.sum(short));
                match (long.total, short.total) {
                    (_, 1..) => Verdict::Clear,
                    (1.., _) => Verdict::Holds,
                    // A service that has been silent for longer than that is gone, or not yet here: the alarm stays as it is.
                    _ => Verdict::SaysNothing,
                }
            }
            (Condition::Remaining { share, clears_at }, _) => {
                let budget = self.budget();
                let holds = match share.numerator {
                    0 => budget.is_exhausted(target),
                    _ => budget.remains_less_than(target, *share),
                };
                match (holds, budget.remains_at_least(target, *clears_at)) {
                    (Some(true), _) => Verdict::Holds,
                    (_, Some(true)) => Verdict::Clear,
                    _ => Verdict::SaysNothing,
                }
            }
            (Condition::Burn(_) | Condition::Absence { .. }, Windows::None) => Verdict::SaysNothing,
        }
    }

    /// The budget of the period at the grid point. By slices it is that of all slices of the period; else that of what came,
    /// or, [`Self::projected`], of what will have come.
    pub fn budget(&self) -> Budget {
        let tally = self.sums.sum(self.period);
        let period_us = match (&self.objective.period, self.span) {
            (Period::Rolling { length_us }, _) => *length_us,
            (_, Some((from, to))) => to.0 - from.0,
            (_, None) => 0,
        };
        let total = match (self.objective.method, self.busy()) {
            (Method::Timeslices { width_us, .. }, _) => (period_us / width_us).into(),
            (_, Some((start, busy_us))) => {
                let missing_us = (period_us - (self.now.0 - start.0)).max(0);
                tally.total + tally.total * i128::from(missing_us) / i128::from(busy_us)
            }
            (_, None) => tally.total,
        };
        Budget { tally: Tally::new(tally.bad, total) }
    }

    /// What was bad, of how many, in the period so far.
    pub fn counted(&self) -> Tally {
        self.sums.sum(self.period)
    }

    /// From when on the budget counts.
    pub fn period_from(&self) -> EventTime {
        self.sums.from(self.period)
    }

    pub fn alert(&self, rule: usize) -> Alert {
        self.alarms[rule].alert
    }

    /// In the order of the rules.
    pub fn alerts(&self) -> Vec<Alert> {
        self.alarms.iter().map(|alarm| alarm.alert).collect()
    }

    /// Long and short window of a rule, where it has them.
    pub fn windows(&self, rule: usize) -> Option<(Tally, Tally)> {
        match self.alarms[rule].windows {
            Windows::None => None,
            Windows::Two { long, short } => {
                let sums = match self.objective.rules[rule].condition {
                    Condition::Absence { .. } => &self.events,
                    _ => &self.sums,
                };
                Some((sums.sum(long), sums.sum(short)))
            }
        }
    }

    pub fn forecast(&self) -> Forecast {
        let target = self.objective.target;
        let (bucket_us, buckets) = self.sums.buckets(self.period);
        let recent = ((RECENT_US / bucket_us).max(1) as usize).min(buckets.len());
        let since_us = self.busy().map_or(i64::MAX, |(start, _)| self.now.0 - start.0);
        let recent_us = (recent as i64 * bucket_us).min(since_us);
        match (&self.objective.period, self.span) {
            (Period::Calendar(_), Some((_, to))) => {
                let last = &buckets[buckets.len() - recent..];
                let mut sum = Tally::default();
                last.iter().for_each(|bucket| sum += *bucket);
                forecast::calendar(target, self.counted(), sum, recent_us, to.0 - self.now.0)
            }
            _ => forecast::rolling(target, &self.with_a_past(buckets, bucket_us), bucket_us, recent, recent_us),
        }
    }

    /// What lies before the first pane is as busy as what came since, and good: as [`Self::budget`] takes it to be.
    fn with_a_past(&self, mut buckets: Vec<Tally>, bucket_us: i64) -> Vec<Tally> {
        let (Some((start, busy_us)), from) = (self.busy(), self.period_from()) else { return buckets };
        let busy = self.counted().total * i128::from(bucket_us) / i128::from(busy_us);
        let missing = usize::try_from((start.0 - from.0) / bucket_us).unwrap_or(0).min(buckets.len());
        buckets[..missing].fill(Tally::new(0, busy));
        buckets
    }

    /// From when on anything came in the period, and for how long. `None`: nothing is projected.
    fn busy(&self) -> Option<(EventTime, i64)> {
        let (first, last) = self.projects.flatten()?;
        let step_us = self.objective.method.width_us().unwrap_or(self.step_us);
        let start = first.floor(step_us).max(self.period_from());
        // A slice counts when it has ended.
        let (last, end) = (last.floor(step_us), last.floor(step_us).plus_us(step_us));
        let busy_us = if end <= self.now { end } else { last }.0 - start.0;
        (busy_us > 0).then_some((start, busy_us))
    }

    /// What is kept of it, but for its chunks.
    pub fn save_head(&self) -> SavedHead {
        let texts = |sums: &Sums| sums.windows().into_iter().map(|(from, sum)| (from, TallyText(sum))).collect();
        let rules = self.objective.rules.iter().zip(&self.alarms);
        SavedHead {
            now: self.now,
            sums: texts(&self.sums),
            events: texts(&self.events),
            closed: self.slices.closed,
            span: self.span,
            seen: self.projects.flatten(),
            alarms: rules.map(|(rule, alarm)| (rule.name.clone(), alarm.alert)).collect(),
        }
    }

    /// Calls `changed` with every chunk that has changed since the last call: what it is of, its number, its counts. Where
    /// there are none, nothing is left of it.
    pub fn take_changed(&mut self, changed: &mut dyn FnMut(Part, i64, &[Tally])) {
        self.sums.take_changed(&mut |width_us, chunk, tallies| changed(Part::Sums(width_us), chunk, tallies));
        self.events.take_changed(&mut |width_us, chunk, tallies| changed(Part::Events(width_us), chunk, tallies));
        let Some(width_us) = self.objective.method.width_us() else { return };
        for chunk in std::mem::take(&mut self.slices.changed) {
            let starts = (chunk * CHUNK..(chunk + 1) * CHUNK).map(|slice| EventTime(slice * width_us));
            let tallies: Vec<Tally> =
                starts.map(|slice| self.slices.slices.get(&slice).copied().unwrap_or_default()).collect();
            let is_gone = tallies.iter().all(|tally| *tally == Tally::default());
            changed(Part::Slices, chunk, if is_gone { &[] } else { &tallies });
        }
    }

    /// Goes on from what was kept. `false`: that was of an objective with other windows.
    pub fn restore_head(&mut self, head: &SavedHead) -> bool {
        let windows = |texts: &[(EventTime, TallyText)]| -> Vec<(EventTime, Tally)> {
            texts.iter().map(|(from, text)| (*from, text.0)).collect()
        };
        let (sums, events) = (windows(&head.sums), windows(&head.events));
        let fits = self.sums.restore_windows(head.now, &sums) && self.events.restore_windows(head.now, &events);
        self.now = head.now;
        self.slices.closed = head.closed;
        self.span = head.span;
        if self.projects.is_some() {
            self.projects = Some(head.seen);
        }
        self.adopt(&head.alarms);
        fits
    }

    /// Takes alarms over by the names of their rules.
    pub fn adopt(&mut self, alarms: &BTreeMap<String, Alert>) {
        for (rule, alarm) in self.objective.rules.iter().zip(&mut self.alarms) {
            alarm.alert = alarms.get(&rule.name).copied().unwrap_or_default();
        }
    }

    /// Puts back a chunk that [`Self::take_changed`] gave. `false`: nothing here has such chunks.
    pub fn restore_chunk(&mut self, part: Part, chunk: i64, tallies: &[Tally]) -> bool {
        match (part, self.objective.method.width_us()) {
            (Part::Sums(width_us), _) => self.sums.restore_chunk(width_us, chunk, tallies),
            (Part::Events(width_us), _) => self.events.restore_chunk(width_us, chunk, tallies),
            (Part::Slices, Some(width_us)) => {
                let starts = (chunk * CHUNK..).map(|slice| EventTime(slice * width_us));
                let held = starts.zip(tallies).filter(|(_, tally)| **tally != Tally::default());
                self.slices.slices.extend(held.map(|(slice, tally)| (slice, *tally)));
                true
            }
            (Part::Slices, None) => false,
        }
    }

    /// The earliest time that any window reaches back to.
    pub fn oldest(&self) -> EventTime {
        let windows = self.sums.windows().into_iter().chain(self.events.windows());
        windows.map(|(from, _)| from).min().unwrap_or(EventTime::BEFORE_ALL)
    }

    pub fn standing(&self) -> Standing {
        let target = self.objective.target;
        let budget = self.budget();
        Standing {
            at: self.now,
            period_from: self.period_from(),
            counted: self.counted(),
            remaining: budget.remaining(target),
            forecast: self.forecast(),
        }
    }
}

/// Where an objective stands at a grid point.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Standing {
    pub at: EventTime,
    pub period_from: EventTime,
    pub counted: Tally,
    /// Share of the budget; negative where it is overdrawn.
    pub remaining: Option<f64>,
    pub forecast: Forecast,
}

/// Events by slice, for methods that judge slices. A slice counts when it has ended; what comes later changes what it counts.
#[derive(Clone, Debug)]
struct Slices {
    method: Method,
    slices: BTreeMap<EventTime, Tally>,
    /// Slices that end at or before this have been counted.
    closed: EventTime,
    /// Chunks that differ from what was kept of them.
    changed: BTreeSet<i64>,
}

impl Slices {
    fn add(&mut self, slice: EventTime, change: Tally, width_us: i64, sums: &mut Sums) {
        self.changed.insert(chunk_of(slice, width_us));
        let tally = self.slices.entry(slice).or_default();
        let before = self.method.worth(*tally);
        *tally += change;
        if slice.plus_us(width_us) <= self.closed {
            sums.add(slice, self.method.worth(*tally) - before);
        }
    }

    fn close(&mut self, now: EventTime, width_us: i64, sums: &mut Sums) {
        // Slices that end after `closed`, and no later than now.
        let from = self.closed.minus_us(width_us).plus_us(1);
        let to = now.minus_us(width_us);
        if from <= to {
            for (slice, tally) in self.slices.range(from..=to) {
                sums.add(*slice, self.method.worth(*tally));
            }
        }
        self.closed = self.closed.max(now);
    }

    fn forget_before(&mut self, oldest: EventTime, width_us: i64) {
        while let Some((slice, _)) = self.slices.first_key_value()
            && *slice < oldest
        {
            self.changed.insert(chunk_of(*slice, width_us));
            self.slices.pop_first();
        }
    }
}

const fn chunk_of(slice: EventTime, width_us: i64) -> i64 {
    slice.0.div_euclid(width_us).div_euclid(CHUNK)
}
