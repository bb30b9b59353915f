//! What was counted, and what people decided → go, frozen or unknown. Asks no clock.

use serde::Serialize;
use streamgauge_events::EventTime;
use streamgauge_slo::{Alert, Budget, Condition, Fraction};
use streamgauge_stage_slo::{ObjectiveStanding, alert_id};
use streamgauge_windows::window::rfc3339_text;

use super::thaw::{Thaw, thaw};
use crate::commands::Override;
use crate::objectives::Reading;
use crate::slo_text::{Unit, span};

pub const EXIT_FROZEN: u8 = 10;
pub const EXIT_UNKNOWN: u8 = 11;

/// What is missing from the last hour may be what just broke; what is missing from before is told.
const RECENT_US: i64 = 3_600_000_000;

#[derive(Clone, Debug)]
pub struct Question {
    pub service: String,
    /// `None`: all of the service.
    pub slo: Option<String>,
    pub rollback: bool,
    pub now: EventTime,
    /// `None`: what was counted is as old as it is.
    pub behind_after_us: Option<i64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Go,
    Frozen,
    Unknown,
}

impl Verdict {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Go => "go",
            Self::Frozen => "frozen",
            Self::Unknown => "unknown",
        }
    }
}

#[derive(Clone, Debug, Serialize)]
pub struct Answer {
    pub answer: Verdict,
    /// Not that of the answer where this is a rollback.
    pub exit_code: u8,
    pub service: String,
    pub rollback: bool,
    /// Why nobody can tell, where that is not for one SLO.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unknown_because: Option<String>,
    /// By which what is frozen goes.
    #[serde(rename = "override", skip_serializing_if = "Option::is_none")]
    pub by: Option<Override>,
    pub slos: Vec<SloAnswer>,
}

/// One SLO: its answer, and the numbers.
#[derive(Clone, Debug, Serialize)]
pub struct SloAnswer {
    pub slo: String,
    pub answer: Verdict,
    /// Why nobody can tell.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unknown_because: Vec<String>,
    /// What changes no answer, but must be known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub promise: Option<Promise>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<BudgetNumbers>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub freeze: Option<Freeze>,
    #[serde(serialize_with = "crate::slo_text::optional_time")]
    pub counted_to: Option<EventTime>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub behind_us: Option<i64>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Promise {
    pub target: String,
    pub indicator: String,
    pub window: String,
}

#[derive(Clone, Debug, Serialize)]
pub struct BudgetNumbers {
    pub remaining: Option<f64>,
    #[serde(flatten)]
    pub budget: Budget,
    #[serde(skip)]
    pub bad: String,
    /// How many may be bad.
    #[serde(skip)]
    pub allowance: String,
}

/// Why it is frozen, and until when.
#[derive(Clone, Debug, Serialize)]
pub struct Freeze {
    /// `None`: no alarm watches for a spent budget, so the budget itself is asked.
    #[serde(flatten)]
    pub alarm: Option<Alarm>,
    #[serde(flatten)]
    pub thaw: Thaw,
}

#[derive(Clone, Debug, Serialize)]
pub struct Alarm {
    pub rule: String,
    /// Absent while the alarm waits, for as long as its definition says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alert: Option<String>,
    #[serde(serialize_with = "crate::slo_text::time")]
    pub since: EventTime,
}

pub fn answer(reading: &Reading, overrides: &[Override], question: &Question) -> Answer {
    let asked = |(slo, service): &(&String, &String)| {
        **service == question.service && question.slo.as_ref().is_none_or(|asked| asked == *slo)
    };
    let slos: Vec<SloAnswer> =
        reading.services.iter().filter(asked).map(|(slo, _)| of(reading, slo, question)).collect();
    if slos.is_empty() {
        return nothing_known(question, nothing_asked(reading, question));
    }
    let has = |verdict: Verdict| slos.iter().any(|slo| slo.answer == verdict);
    let tenant = reading.standings.values().map(|standing| standing.tenant.as_str()).max().unwrap_or_default();
    let active = overrides.iter().filter(|known| known.is_active_for(tenant, &question.service));
    let by = active.filter(|_| has(Verdict::Frozen)).max_by_key(|known| (known.expires, known.id.clone())).cloned();
    // What is spent is sure, whatever else can't be told; an override is about that alone.
    let verdict = match (has(Verdict::Frozen), has(Verdict::Unknown)) {
        (true, _) if by.is_none() => Verdict::Frozen,
        (_, true) => Verdict::Unknown,
        (_, false) => Verdict::Go,
    };
    Answer { by, slos, ..of_all(question, verdict) }
}

/// Nobody can tell anything at all.
pub fn nothing_known(question: &Question, why: String) -> Answer {
    Answer { unknown_because: Some(why), ..of_all(question, Verdict::Unknown) }
}

fn of_all(question: &Question, answer: Verdict) -> Answer {
    let exit_code = match answer {
        Verdict::Frozen if !question.rollback => EXIT_FROZEN,
        Verdict::Unknown if !question.rollback => EXIT_UNKNOWN,
        _ => 0,
    };
    let (service, rollback) = (question.service.clone(), question.rollback);
    Answer { answer, exit_code, service, rollback, unknown_because: None, by: None, slos: Vec::new() }
}

fn nothing_asked(reading: &Reading, question: &Question) -> String {
    let of_service = |(slo, service): (&String, &String)| (*service == question.service).then(|| slo.clone());
    let slos: Vec<String> = reading.services.iter().filter_map(of_service).collect();
    match &question.slo {
        Some(slo) if !slos.is_empty() => {
            format!("{} has no SLO {slo:?}; it has: {}", question.service, slos.join(", "))
        }
        _ => {
            let mut services: Vec<&str> = reading.services.values().map(String::as_str).collect();
            services.sort_unstable();
            services.dedup();
            format!("no SLO is about {:?}; services with one: {}", question.service, services.join(", "))
        }
    }
}

fn of(reading: &Reading, slo: &str, question: &Question) -> SloAnswer {
    let unknown = SloAnswer {
        slo: slo.to_owned(),
        answer: Verdict::Unknown,
        unknown_because: Vec::new(),
        remarks: Vec::new(),
        promise: None,
        budget: None,
        freeze: None,
        counted_to: None,
        behind_us: None,
    };
    let Some(standing) = reading.standings.get(slo) else {
        let why = reading.uncounted.get(slo).cloned().unwrap_or_else(|| "nothing follows it".to_owned());
        return SloAnswer { unknown_because: vec![why], ..unknown };
    };
    let reach = reading.reach(slo);
    let behind_us = reach.complete_until.map(|until| (question.now.0 - until.0).max(0));
    let behind_us = behind_us.filter(|_| question.behind_after_us.is_some());
    let budget = budget_of(reading, standing);
    let freeze = budget.and_then(|budget| freeze_of(reading, standing, budget));
    let unknown_because = what_is_unknown(reading, standing, question);
    let answer = match (unknown_because.is_empty(), &freeze) {
        (false, _) => Verdict::Unknown,
        (true, Some(_)) => Verdict::Frozen,
        (true, None) => Verdict::Go,
    };
    SloAnswer {
        answer,
        unknown_because,
        remarks: remarks(reading, standing),
        promise: Some(Promise {
            target: standing.target.clone(),
            indicator: standing.indicator.clone(),
            window: standing.window.clone(),
        }),
        budget: budget.map(|budget| numbers(reading, slo, budget)),
        freeze,
        counted_to: reach.complete_until,
        behind_us,
        ..unknown
    }
}

/// As the alarms see it. `None`: nothing was counted that there could be a budget of.
fn budget_of(reading: &Reading, standing: &ObjectiveStanding) -> Option<Budget> {
    let (slo, end) = (&standing.slo, standing.span?.to);
    let history = reading.history(slo).filter(|_| standing.counted.total > 0)?;
    reading.budgets(slo, &history, None, &[end]).first().map(|now| now.budget)
}

fn numbers(reading: &Reading, slo: &str, budget: Budget) -> BudgetNumbers {
    let (target, promise) = (reading.objective(slo).target, reading.slo(slo));
    let unit = Unit::of(promise, &reading.definitions.slis[&promise.indicator]);
    BudgetNumbers {
        remaining: budget.remaining(target),
        budget,
        bad: unit.count(budget.tally.bad),
        allowance: unit.allowance(target, budget),
    }
}

/// The alarm that watches for a spent budget says it, from when it holds until it has resolved; where there is none, the
/// budget itself does.
fn freeze_of(reading: &Reading, standing: &ObjectiveStanding, budget: Budget) -> Option<Freeze> {
    let slo = &standing.slo;
    let objective = reading.objective(slo);
    let exhaustion: Vec<(&str, Fraction)> = objective
        .rules
        .iter()
        .filter_map(|rule| match rule.condition {
            Condition::Remaining { share, clears_at } if share.numerator == 0 => Some((rule.name.as_str(), clears_at)),
            _ => None,
        })
        .collect();
    if exhaustion.is_empty() {
        let is_spent = budget.is_exhausted(objective.target) == Some(true);
        return is_spent.then(|| Freeze { alarm: None, thaw: thaw(reading, slo, budget, None) });
    }
    let alarm = |rule: &str| {
        let alert = standing.rules.iter().find(|known| known.rule == rule)?.alert;
        let (alert, since) = match alert {
            Alert::Inactive => return None,
            Alert::Pending { since, .. } => (None, since),
            Alert::Firing { since } => (Some(alert_id(slo, rule, since)), since),
        };
        Some(Alarm { rule: rule.to_owned(), alert, since })
    };
    exhaustion.into_iter().find_map(|(rule, clears_at)| {
        let alarm = alarm(rule)?;
        Some(Freeze { alarm: Some(alarm), thaw: thaw(reading, slo, budget, Some(clears_at)) })
    })
}

fn what_is_unknown(reading: &Reading, standing: &ObjectiveStanding, question: &Question) -> Vec<String> {
    let reach = reading.reach(&standing.slo);
    let mut unknown = Vec::new();
    if !reach.unheard.is_empty() {
        let unheard: Vec<String> = reach.unheard.iter().map(ToString::to_string).collect();
        unknown.push(format!("nothing was heard of {}, partition {}", reach.topic, unheard.join(", ")));
    }
    unknown.extend(reach.complete_until.and_then(|until| what_the_clock_says(question, &reach.topic, until)));
    match standing.span {
        Some(counted) if standing.counted.total > 0 => {
            // Where nothing comes, an hour passes between two grid points, and never more.
            if reach.complete_until.is_some_and(|until| until.0 - counted.to.0 > RECENT_US) {
                unknown.push(format!("budgets were followed to {} only", rfc3339_text(counted.to)));
            }
            for lack in reading.lacks(&standing.slo, counted.to.minus_us(RECENT_US), counted.to) {
                unknown.push(format!("a part of the last {} is missing ({lack})", span(RECENT_US)));
            }
        }
        _ => unknown.push(format!("nothing was counted of {}", standing.indicator)),
    }
    if unknown.is_empty() && reach.complete_until.is_none() {
        unknown.push(format!("nobody knows how far {} was counted", reach.topic));
    }
    unknown
}

/// A clock that is behind what was counted takes any lag for less than it is.
fn what_the_clock_says(question: &Question, topic: &str, until: EventTime) -> Option<String> {
    let most_us = question.behind_after_us?;
    let behind_us = question.now.0 - until.0;
    if behind_us > most_us {
        Some(format!("{topic} is {} behind", span(behind_us)))
    } else if behind_us < -most_us {
        Some(format!("the clock here is {} behind what was counted of {topic}", span(-behind_us)))
    } else {
        None
    }
}

fn remarks(reading: &Reading, standing: &ObjectiveStanding) -> Vec<String> {
    let mut remarks = Vec::new();
    if let Some(counted) = standing.span {
        let recent = counted.to.minus_us(RECENT_US);
        let recent_lacks = reading.lacks(&standing.slo, recent, counted.to);
        for lack in reading.lacks(&standing.slo, counted.from, recent).difference(&recent_lacks) {
            remarks.push(format!("an earlier part of the period is missing ({lack})"));
        }
    }
    if let Some(last) = reading.counted_otherwise(&standing.slo) {
        let until = rfc3339_text(last);
        remarks.push(format!("up to {until} other definitions counted {} in another way", standing.indicator));
    }
    remarks
}
