//! All objectives of a set of definitions, moved from grid point to grid point.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use serde::{Serialize, Serializer};
use streamgauge_definitions::{Budgeting, CalendarUnit, Definitions, Share, Slo, TimeWindow};
use streamgauge_events::EventTime;
use streamgauge_slo::burn::tiers_of;
use streamgauge_slo::calendar::Unit;
use streamgauge_slo::evaluate::Method;
use streamgauge_slo::{
    Alert, Calendar, Condition, Evaluator, Forecast, Fraction, Objective, Period, Rule, Severity, Tally, Target,
    Transition,
};
use streamgauge_windows::window::rfc3339_text;

use crate::align::Alignment;
use crate::feed::Feed;

/// Evaluates what [`Alignment`] knows.
#[derive(Debug)]
pub struct Objectives {
    objectives: BTreeMap<String, Followed>,
}

#[derive(Debug)]
struct Followed {
    slo: Slo,
    topic: String,
    feed: Feed,
    evaluator: Evaluator,
    /// First and last grid point evaluated.
    evaluated: Option<(EventTime, EventTime)>,
}

/// Below this share the budget is low, and is no longer where so much remains again.
const LOW: (Fraction, Fraction) = (Fraction::new(1, 10), Fraction::new(15, 100));
/// Where nothing remains the budget is exhausted; until so much remains again.
const EXHAUSTED: (Fraction, Fraction) = (Fraction::ZERO, Fraction::new(5, 100));

/// The alarms of an objective: four burn-rate tiers, a low and an exhausted budget.
pub fn default_rules(window: &TimeWindow, pane_us: i64) -> Vec<Rule> {
    let rule = |name: String, severity, condition| Rule { name, severity, condition, pending_points: 1 };
    let tiers = tiers_of(nominal_us(window), pane_us);
    let mut rules: Vec<Rule> = tiers
        .into_iter()
        .map(|tier| {
            let text = streamgauge_definitions::duration_text;
            let name = format!("burn-{}-{}", text(tier.long_us), text(tier.short_us));
            rule(name, tier.severity, Condition::Burn(tier))
        })
        .collect();
    for (name, severity, (share, clears_at)) in
        [("budget-low", Severity::Major, LOW), ("budget-exhausted", Severity::Critical, EXHAUSTED)]
    {
        rules.push(rule(name.to_owned(), severity, Condition::Remaining { share, clears_at }));
    }
    rules
}

/// The length by which tiers are chosen: months count as 30 days.
fn nominal_us(window: &TimeWindow) -> i64 {
    const DAY_US: i64 = 86_400_000_000;
    match window {
        TimeWindow::Rolling { length_us } => *length_us,
        TimeWindow::Calendar { unit, count, .. } => {
            let days = match unit {
                CalendarUnit::Days => 1,
                CalendarUnit::Weeks => 7,
                CalendarUnit::Months => 30,
                CalendarUnit::Years => 365,
            };
            days * i64::from(*count) * DAY_US
        }
    }
}

/// Definitions are checked where they are read; one that can't be followed is named.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("SLO {slo}: {why}")]
pub struct CannotFollow {
    slo: String,
    why: String,
}

impl Objectives {
    /// `topic_of`: the topic that an SLI was counted from, as facts call it.
    pub fn new(
        definitions: &Definitions,
        pane_us: i64,
        topic_of: &dyn Fn(&str) -> String,
    ) -> Result<Self, CannotFollow> {
        let mut objectives = BTreeMap::new();
        for (name, slo) in &definitions.slos {
            let cannot = |why: String| CannotFollow { slo: name.clone(), why };
            let sli = definitions.slis.get(&slo.indicator);
            let sli = sli.ok_or_else(|| cannot(format!("no SLI is called {}", slo.indicator)))?;
            let objective = objective_of(slo, pane_us).map_err(cannot)?;
            let topic = topic_of(&slo.indicator);
            let feed = Feed::new(sli, &topic);
            let evaluator = Evaluator::new(objective, pane_us).projected();
            let followed = Followed { slo: slo.clone(), topic, feed, evaluator, evaluated: None };
            objectives.insert(name.clone(), followed);
        }
        Ok(Self { objectives })
    }

    /// Every grid point that can be evaluated, in order; `tell` hears of each transition.
    pub fn follow(&mut self, alignment: &Alignment, tell: &mut dyn FnMut(AlertRecord)) {
        let topics: std::collections::BTreeSet<String> =
            self.objectives.values().map(|followed| followed.topic.clone()).collect();
        for topic in topics {
            let Some(mut grid) = alignment.grid(&topic) else { continue };
            let first = grid.first;
            while let Some((now, parts)) = grid.next_point() {
                for (name, followed) in self.objectives.iter_mut().filter(|(_, followed)| followed.topic == topic) {
                    let mine = parts.iter().filter(|part| part.sli == followed.slo.indicator);
                    mine.for_each(|part| followed.feed.add(part.pane, &part.cell));
                    followed.evaluator.advance(now);
                    for (pane, change) in followed.feed.take(first, now, alignment.coverage()) {
                        followed.evaluator.add(pane, change);
                    }
                    let start = followed.evaluated.map_or(now, |(start, _)| start);
                    followed.evaluated = Some((start, now));
                    for (rule, transition) in followed.evaluator.evaluate() {
                        tell(followed.record(name, rule, transition, now));
                    }
                }
            }
        }
    }

    /// Where each objective stands at its last grid point, by name.
    pub fn standings(&self) -> Vec<ObjectiveStanding> {
        self.objectives.iter().map(|(name, followed)| followed.standing(name)).collect()
    }
}

/// What an SLO document promises, with the alarms about it.
pub fn objective_of(slo: &Slo, pane_us: i64) -> Result<Objective, String> {
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
    Ok(Objective { target, method, period, rules: default_rules(&slo.window, pane_us) })
}

impl Followed {
    fn record(&self, name: &str, rule: usize, transition: Transition, at: EventTime) -> AlertRecord {
        let Objective { target, rules, .. } = self.evaluator.objective();
        let standing = self.evaluator.standing();
        let counts = |tally: Tally| WindowCounts { bad: tally.bad, total: tally.total, burn: target.burn(tally) };
        let windows = self.evaluator.windows(rule);
        AlertRecord {
            slo: name.to_owned(),
            service: self.slo.service.clone(),
            rule: rules[rule].name.clone(),
            severity: rules[rule].severity,
            transition,
            at,
            target: self.slo.target.percent_text(),
            long: windows.map(|(long, _)| counts(long)),
            short: windows.map(|(_, short)| counts(short)),
            remaining: standing.remaining,
        }
    }

    fn standing(&self, name: &str) -> ObjectiveStanding {
        let Objective { target, rules, .. } = self.evaluator.objective();
        let Some((start, at)) = self.evaluated else {
            return ObjectiveStanding {
                slo: name.to_owned(),
                service: self.slo.service.clone(),
                indicator: self.slo.indicator.clone(),
                target: self.slo.target.percent_text(),
                window: self.slo.window.to_string(),
                span: None,
                counted: Tally::default(),
                remaining: None,
                forecast: Forecast::Unknown,
                rules: Vec::new(),
            };
        };
        let standing = self.evaluator.standing();
        let counts = |tally: Tally| WindowCounts { bad: tally.bad, total: tally.total, burn: target.burn(tally) };
        let rules = rules.iter().enumerate().map(|(index, rule)| RuleStanding {
            rule: rule.name.clone(),
            severity: rule.severity,
            alert: self.evaluator.alert(index),
            long: self.evaluator.windows(index).map(|(long, _)| counts(long)),
            short: self.evaluator.windows(index).map(|(_, short)| counts(short)),
        });
        ObjectiveStanding {
            slo: name.to_owned(),
            service: self.slo.service.clone(),
            indicator: self.slo.indicator.clone(),
            target: self.slo.target.percent_text(),
            window: self.slo.window.to_string(),
            span: Some(Span { from: start.max(standing.period_from), to: at }),
            counted: standing.counted,
            remaining: standing.remaining,
            forecast: standing.forecast,
            rules: rules.collect(),
        }
    }
}

/// One transition of one alarm, with the numbers that explain it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AlertRecord {
    pub slo: String,
    pub service: String,
    pub rule: String,
    pub severity: Severity,
    pub transition: Transition,
    /// The grid point.
    #[serde(serialize_with = "rfc3339")]
    pub at: EventTime,
    pub target: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub long: Option<WindowCounts>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub short: Option<WindowCounts>,
    /// Share of the period's budget.
    pub remaining: Option<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct WindowCounts {
    pub bad: i128,
    pub total: i128,
    pub burn: Option<f64>,
}

/// Where one objective stands.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ObjectiveStanding {
    pub slo: String,
    pub service: String,
    pub indicator: String,
    pub target: String,
    pub window: String,
    /// What of the window was counted; `None`: nothing, so that nothing can be said.
    pub span: Option<Span>,
    pub counted: Tally,
    /// Share of the period's budget; negative where it is overdrawn.
    pub remaining: Option<f64>,
    pub forecast: Forecast,
    pub rules: Vec<RuleStanding>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Span {
    #[serde(serialize_with = "rfc3339")]
    pub from: EventTime,
    #[serde(serialize_with = "rfc3339")]
    pub to: EventTime,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RuleStanding {
    pub rule: String,
    pub severity: Severity,
    pub alert: Alert,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub long: Option<WindowCounts>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub short: Option<WindowCounts>,
}

fn rfc3339<S: Serializer>(time: &EventTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&rfc3339_text(*time))
}
