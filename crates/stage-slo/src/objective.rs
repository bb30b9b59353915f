//! One objective of one tenant: its SLI's feed, its sums, its alarms.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use streamgauge_definitions::{Budgeting, CalendarUnit, Definitions, Measure, Share, Sli, Slo, TimeWindow};
use streamgauge_events::EventTime;
use streamgauge_slo::calendar::Unit;
use streamgauge_slo::evaluate::Method;
use streamgauge_slo::saved::{SavedHead, TallyText};
use streamgauge_slo::{Alert, Calendar, Evaluator, Forecast, Fraction, Objective, Period, Tally, Target, Transition};

use crate::feed::{Added, Feed};
use crate::objectives::PROBE_PANE_US;
use crate::records::{AlertRecord, ObjectiveStanding, RuleStanding, Span, WindowCounts, alert_id, hash_of};
use crate::rules::rules_of;

/// An SLO with the SLI that it is about.
#[derive(Clone, Debug)]
pub(crate) struct Promise {
    pub(crate) name: String,
    pub(crate) slo: Slo,
    pub(crate) measure: Measure,
    /// The topic that the SLI is counted from, as facts call it.
    pub(crate) topic: String,
    /// Of its alarms by name, whom they are for.
    targets: BTreeMap<String, Vec<String>>,
    /// Of all that decides what was counted means: a budget goes on across changes of predicates.
    pub(crate) hash: String,
}

impl Promise {
    pub(crate) fn new(definitions: &Definitions, name: &str, slo: &Slo, sli: &Sli, topic: String) -> Self {
        let judging = sli.good.slice().map_or_else(String::new, |_| json(&sli.good));
        // Alarms that nobody asked for may be others in a later version.
        let alarms = definitions.alerts_of(slo, PROBE_PANE_US);
        let hash = hash_of(&[&json(slo), &judging, &topic, &json(&alarms)]);
        let targets = alarms.into_iter().map(|alarm| (alarm.name, alarm.targets)).collect();
        Self { name: name.to_owned(), slo: slo.clone(), measure: sli.good.clone(), topic, targets, hash }
    }
}

/// An SLO as the evaluator knows it. Fails where the definition can't be followed.
pub fn objective_of(definitions: &Definitions, slo: &Slo, pane_us: i64) -> Result<Objective, String> {
    let fraction = |share: Share| Fraction::new(share.numerator, share.denominator);
    let target = Target::new(fraction(slo.target)).map_err(|error| error.to_string())?;
    let method = match slo.budgeting {
        Budgeting::Occurrences => Method::Occurrences,
        Budgeting::Timeslices { target, width_us } => Method::Timeslices { target: fraction(target), width_us },
        Budgeting::RatioTimeslices { width_us } => Method::RatioTimeslices { width_us },
    };
    let period = match &slo.window {
        TimeWindow::Rolling { length_us } => Period::Rolling { length_us: *length_us },
        TimeWindow::Calendar { unit, count, start, time_zone } => {
            let unit = match unit {
                CalendarUnit::Days => Unit::Days,
                CalendarUnit::Weeks => Unit::Weeks,
                CalendarUnit::Months => Unit::Months,
                CalendarUnit::Years => Unit::Years,
            };
            let zone = TimeZone::get(time_zone).map_err(|error| error.to_string())?;
            let anchor = start.parse().map_err(|error| format!("{start:?} is no date: {error}"))?;
            let count = i32::try_from(*count).map_err(|error| error.to_string())?;
            Period::Calendar(Calendar::new(unit, count, anchor, zone).ok_or("a window of no length")?)
        }
    };
    Ok(Objective { target, method, period, rules: rules_of(definitions, slo, pane_us) })
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("definitions always have a JSON form")
}

#[derive(Debug)]
pub(crate) struct Followed {
    pub(crate) promise: Promise,
    pub(crate) tenant: String,
    pub(crate) feed: Feed,
    pub(crate) evaluator: Evaluator,
    /// First and last grid point evaluated.
    evaluated: Option<(EventTime, EventTime)>,
    /// Newest last.
    exemplars: Vec<(EventTime, String)>,
    /// All that was ever counted, by the changes that made it.
    lifetime: Lifetime,
    /// Differs from what was kept of it.
    pub(crate) is_changed: bool,
}

/// Good and bad ones since the objective began. What is restated may lower a count; what is shown of it only rises.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Lifetime {
    counted: TallyText,
    shown_good: i64,
    shown_bad: i64,
}

impl Lifetime {
    fn add(&mut self, change: Tally) {
        self.counted.0 += change;
        let Tally { bad, .. } = self.counted.0;
        let whole = |count: i128| i64::try_from(count).unwrap_or(i64::MAX);
        self.shown_good = self.shown_good.max(whole(self.counted.0.good()));
        self.shown_bad = self.shown_bad.max(whole(bad));
    }
}

/// Trace ids kept of an objective.
const EXEMPLARS_MAX: usize = 3;

/// What is kept of an objective beside its chunks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct KeptHead {
    pub(crate) definition: String,
    pub(crate) evaluated: Option<(EventTime, EventTime)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) judged_until: Option<EventTime>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) exemplars: Vec<(EventTime, String)>,
    lifetime: Lifetime,
    pub(crate) sums: SavedHead,
}

impl Followed {
    pub(crate) fn new(
        definitions: &Definitions,
        promise: Promise,
        tenant: String,
        pane_us: i64,
    ) -> Result<Self, String> {
        let evaluator = Evaluator::new(objective_of(definitions, &promise.slo, pane_us)?, pane_us).projected();
        let step_us = promise.measure.slice().map_or(pane_us, |slice| slice.length_us);
        let (evaluator, feed) = (evaluator.by_steps_of(step_us), Feed::new(promise.measure.clone()));
        Ok(Self {
            promise,
            tenant,
            feed,
            evaluator,
            evaluated: None,
            exemplars: Vec::new(),
            lifetime: Lifetime::default(),
            is_changed: true,
        })
    }

    pub(crate) fn add(&mut self, pane: EventTime, added: &Added) {
        self.feed.add(pane, added);
        for id in added.exemplars() {
            let exemplar = (pane, id);
            if let Err(place) = self.exemplars.binary_search(&exemplar) {
                self.exemplars.insert(place, exemplar);
            }
        }
        let surplus = self.exemplars.len().saturating_sub(EXEMPLARS_MAX);
        self.exemplars.drain(..surplus);
    }

    /// Goes on to a grid point, up to which everything that is known has been added; what its alarms say.
    pub(crate) fn evaluate(
        &mut self,
        first: EventTime,
        now: EventTime,
        covered: &dyn Fn(EventTime, EventTime) -> bool,
    ) -> Vec<AlertRecord> {
        self.is_changed = true;
        self.evaluator.advance(now);
        for (pane, change) in self.feed.take(first, now, covered) {
            self.lifetime.add(change);
            self.evaluator.add(pane, change);
        }
        self.evaluated = Some((self.evaluated.map_or(now, |(start, _)| start), now));
        let before: Vec<Alert> = self.evaluator.alerts();
        let transitions = self.evaluator.evaluate();
        self.feed.forget_before(self.evaluator.oldest());
        transitions
            .into_iter()
            .map(|(rule, transition)| {
                let starts_at = since(before[rule]).or_else(|| since(self.evaluator.alert(rule))).unwrap_or(now);
                let starts_at = match transition {
                    Transition::Fired => now,
                    _ => starts_at,
                };
                self.record(rule, transition, now, starts_at)
            })
            .collect()
    }

    fn record(&self, rule: usize, transition: Transition, at: EventTime, starts_at: EventTime) -> AlertRecord {
        let Objective { rules, .. } = self.evaluator.objective();
        let (rule_name, severity) = (rules[rule].name.clone(), rules[rule].severity);
        let standing = self.evaluator.standing();
        let (long, short) = self.counts(rule);
        let Promise { name, slo, hash, targets, .. } = &self.promise;
        let fingerprint = hash_of(&[&self.tenant, &slo.service, name, &rule_name]);
        AlertRecord {
            id: hash_of(&[&fingerprint, &starts_at.0.to_string(), transition.as_str()]),
            alert: alert_id(name, &rule_name, starts_at),
            fingerprint,
            tenant: self.tenant.clone(),
            service: slo.service.clone(),
            slo: name.clone(),
            targets: targets.get(&rule_name).cloned().unwrap_or_default(),
            rule: rule_name,
            severity,
            transition,
            at,
            starts_at,
            target: slo.target.percent_text(),
            window: slo.window.to_string(),
            long,
            short,
            counted: standing.counted,
            remaining: standing.remaining,
            forecast: standing.forecast,
            exemplars: self.exemplars(),
            definition: hash.clone(),
        }
    }

    fn counts(&self, rule: usize) -> (Option<WindowCounts>, Option<WindowCounts>) {
        let target = self.evaluator.objective().target;
        let counts = |tally: Tally| WindowCounts { bad: tally.bad, total: tally.total, burn: target.burn(tally) };
        match self.evaluator.windows(rule) {
            Some((long, short)) => (Some(counts(long)), Some(counts(short))),
            None => (None, None),
        }
    }

    fn exemplars(&self) -> Vec<String> {
        self.exemplars.iter().rev().map(|(_, id)| id.clone()).collect()
    }

    pub(crate) fn standing(&self) -> ObjectiveStanding {
        let Objective { rules, .. } = self.evaluator.objective();
        let Some((start, at)) = self.evaluated else {
            return nothing_known(&self.promise, &self.tenant);
        };
        let standing = self.evaluator.standing();
        let rules = rules.iter().enumerate().map(|(index, rule)| {
            let (long, short) = self.counts(index);
            let alert = self.evaluator.alert(index);
            RuleStanding { rule: rule.name.clone(), severity: rule.severity, alert, long, short }
        });
        ObjectiveStanding {
            span: Some(Span { from: start.max(standing.period_from), to: at }),
            counted: standing.counted,
            remaining: standing.remaining,
            forecast: standing.forecast,
            rules: rules.collect(),
            exemplars: self.exemplars(),
            good_total: self.lifetime.shown_good,
            bad_total: self.lifetime.shown_bad,
            ..nothing_known(&self.promise, &self.tenant)
        }
    }

    pub(crate) fn save_head(&self) -> KeptHead {
        KeptHead {
            definition: self.promise.hash.clone(),
            evaluated: self.evaluated,
            judged_until: self.feed.judged_until(),
            exemplars: self.exemplars.clone(),
            lifetime: self.lifetime,
            sums: self.evaluator.save_head(),
        }
    }

    /// `false`: what was kept is of something else.
    pub(crate) fn restore_head(&mut self, head: KeptHead) -> bool {
        self.evaluated = head.evaluated;
        self.exemplars = head.exemplars;
        self.lifetime = head.lifetime;
        self.feed.restore_judged_until(head.judged_until);
        self.is_changed = false;
        head.definition == self.promise.hash && self.evaluator.restore_head(&head.sums)
    }
}

/// Of an objective of which nothing has been counted.
pub(crate) fn nothing_known(promise: &Promise, tenant: &str) -> ObjectiveStanding {
    ObjectiveStanding {
        tenant: tenant.to_owned(),
        slo: promise.name.clone(),
        service: promise.slo.service.clone(),
        indicator: promise.slo.indicator.clone(),
        target: promise.slo.target.percent_text(),
        window: promise.slo.window.to_string(),
        span: None,
        counted: Tally::default(),
        remaining: None,
        forecast: Forecast::Unknown,
        rules: Vec::new(),
        exemplars: Vec::new(),
        good_total: 0,
        bad_total: 0,
    }
}

const fn since(alert: Alert) -> Option<EventTime> {
    match alert {
        Alert::Inactive => None,
        Alert::Pending { since, .. } | Alert::Firing { since } => Some(since),
    }
}
