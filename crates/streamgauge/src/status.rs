//! `streamgauge status`: are we fine, how fast do budgets burn, since when, and what is behind.

mod one;
#[cfg(test)]
mod tests;
mod text;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::anyhow;
use clap::Args;
use serde::Serialize;
use streamgauge_definitions::duration_us;
use streamgauge_events::EventTime;
use streamgauge_slo::{Alert, Condition, Severity};
use streamgauge_stage_slo::{ObjectiveStanding, RuleStanding};
use streamgauge_windows::window::rfc3339_text;

use crate::cli::bad_usage;
use crate::facts_input::FactsArgs;
use streamgauge_stage_slo::alert_id;

use crate::objectives::{self, Reach, Reading};
use crate::slo_text::span;
use crate::windows_text::{print_data, print_lines};

/// Show where every SLO stands: budget, burn rates, alerts, and what is behind
///
/// Reads all facts, goes to every grid point as the alarms do, and says what follows at the last one. With the name of an
/// SLO: its budget over time, its tiers with their counts, when the budget will be spent, and the spans that spent most.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  streamgauge status --input out
  streamgauge status checkout-availability --input out
  streamgauge status --brokers 127.0.0.1:9092 --json
  streamgauge status --input out --definitions slos.yaml

Exit codes: 0 all SLOs are fine, 1 an alert of severity critical or major fires or a budget is spent, 2 nobody can tell: \
nothing was counted, the counting is behind, there is no traffic, or a definition is not what the facts were counted by.

docs/slo.md explains every word and number.")]
pub struct StatusArgs {
    /// Only this SLO, in detail
    #[arg(value_name = "SLO")]
    slo: Option<String>,
    #[command(flatten)]
    facts: FactsArgs,
    /// Only this tenant; needed where facts are of several
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// Judge by these definitions, not by those that the facts cite: files, or directories of them
    #[arg(long, value_name = "PATH")]
    definitions: Vec<PathBuf>,
    /// On Kafka, whoever is further behind than this can't tell how things are
    #[arg(long, value_name = "DURATION", default_value = "2m", value_parser = duration_us)]
    behind_max: i64,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

const HOUR_US: i64 = 3_600_000_000;
/// Something is not fine.
const EXIT_NOT_FINE: u8 = 1;
/// Nobody can tell.
const EXIT_UNKNOWN: u8 = 2;

pub fn run(args: StatusArgs) -> anyhow::Result<ExitCode> {
    // What can't be read is nothing that could be told from.
    show(&args).map_err(bad_usage)
}

fn show(args: &StatusArgs) -> anyhow::Result<ExitCode> {
    let reading = objectives::read(&args.facts, args.tenant.as_deref(), &args.definitions, &[])?;
    // A file is as old as it is; only a stage that should be running can be behind.
    let now = args.facts.input.is_none().then(crate::shell::now);
    let all = assessments(&reading, now, args.behind_max);
    let Some(name) = &args.slo else {
        match args.json {
            true => print_data([to_json(&serde_json::json!({ "state": overall(&all), "slos": all }))])?,
            false => print_lines(text::screen(&all))?,
        }
        return Ok(exit_code(overall(&all)));
    };
    let Some(one) = all.iter().find(|assessment| assessment.slo == *name) else {
        let known: Vec<&str> = all.iter().map(|assessment| assessment.slo.as_str()).collect();
        return Err(anyhow!("no SLO is called {name:?}; defined are: {}", known.join(", ")));
    };
    let detail = one::detail(&reading, one);
    match args.json {
        true => print_data([to_json(&one::json(one, detail.as_ref()))])?,
        false => print_lines(one::lines(&reading, one, detail.as_ref()))?,
    }
    Ok(exit_code(one.state))
}

fn to_json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("texts and numbers always have a JSON form")
}

fn exit_code(state: State) -> ExitCode {
    match state {
        State::Fine | State::Warning => ExitCode::SUCCESS,
        State::NotFine => ExitCode::from(EXIT_NOT_FINE),
        State::NoTraffic | State::NoCoverage | State::Behind | State::NotCounted => ExitCode::from(EXIT_UNKNOWN),
    }
}

/// How an objective is, in one word. From what is worst to tell to what is best.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// An alert of severity critical or major fires, or nothing is left of the budget.
    NotFine,
    /// The facts can't judge it.
    NotCounted,
    /// A partition is unheard of, or a part of the last hour is missing.
    NoCoverage,
    /// Counted to a time too long ago.
    Behind,
    /// Counted, and nothing came in the long window of the fastest tier.
    NoTraffic,
    /// An alert of a lower severity fires.
    Warning,
    Fine,
}

impl State {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotFine => "not fine",
            Self::NotCounted => "not counted",
            Self::NoCoverage => "no coverage",
            Self::Behind => "behind",
            Self::NoTraffic => "no traffic",
            Self::Warning => "warning",
            Self::Fine => "fine",
        }
    }
}

/// What is not fine stands before what can't be told.
fn overall(all: &[Assessment]) -> State {
    all.iter().map(|assessment| assessment.state).min().unwrap_or(State::NotCounted)
}

/// An SLO, and how it is.
#[derive(Clone, Debug, Serialize)]
pub struct Assessment {
    pub slo: String,
    pub state: State,
    /// Why it is so, and what else must be known.
    pub remarks: Vec<String>,
    pub firing: Vec<FiringAlert>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reach: Option<Reach>,
    /// How far the wall clock is ahead of what was counted; only on Kafka.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub behind_us: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub standing: Option<ObjectiveStanding>,
}

#[derive(Clone, Debug, Serialize)]
pub struct FiringAlert {
    pub id: String,
    pub rule: String,
    pub severity: Severity,
    #[serde(serialize_with = "crate::slo_text::time")]
    pub since: EventTime,
}

/// By name, those that can't be judged among them.
fn assessments(reading: &Reading, now: Option<EventTime>, behind_max_us: i64) -> Vec<Assessment> {
    let uncounted = reading.uncounted.iter().map(|(name, why)| Assessment {
        slo: name.clone(),
        state: State::NotCounted,
        remarks: vec![why.clone()],
        firing: Vec::new(),
        reach: None,
        behind_us: None,
        standing: None,
    });
    let judged = reading.standings.values().map(|standing| assess(reading, standing, now, behind_max_us));
    let mut all: Vec<Assessment> = uncounted.chain(judged).collect();
    all.sort_by(|one, other| one.slo.cmp(&other.slo));
    all
}

fn assess(reading: &Reading, standing: &ObjectiveStanding, now: Option<EventTime>, behind_max_us: i64) -> Assessment {
    let name = &standing.slo;
    let reach = reading.reach(name);
    let firing: Vec<FiringAlert> = standing.rules.iter().filter_map(|rule| firing_alert(name, rule)).collect();
    let counted_until = reach.complete_until.filter(|_| !reach.ended);
    let behind_us = now.zip(counted_until).map(|(now, until)| (now.0 - until.0).max(0));
    let tier = reading.objective(name).rules.iter().enumerate().find_map(|(index, rule)| match rule.condition {
        Condition::Burn(tier) => Some((index, tier.long_us)),
        _ => None,
    });
    // Where nobody is told of burn rates, an hour, or as long as it takes to judge a slice.
    let recent_us = tier.map_or(HOUR_US.max(2 * reading.step_us(name)), |(_, long_us)| long_us);
    let mut state = if firing.is_empty() { State::Fine } else { State::Warning };
    let mut remarks = Vec::new();
    let mut tell = |becomes: State, remark: String| {
        state = state.min(becomes);
        remarks.push(remark);
    };
    for alert in firing.iter().filter(|alert| alert.severity >= Severity::Major) {
        tell(State::NotFine, format!("{} ({}) fires", alert.rule, alert.severity.as_str()));
    }
    if standing.remaining.is_some_and(|remaining| remaining <= 0.0) {
        tell(State::NotFine, "the budget is spent".to_owned());
    }
    if !reach.unheard.is_empty() {
        let unheard: Vec<String> = reach.unheard.iter().map(ToString::to_string).collect();
        tell(State::NoCoverage, format!("nothing was heard of {}, partition {}", reach.topic, unheard.join(", ")));
    }
    if let Some(behind_us) = behind_us.filter(|behind_us| *behind_us > behind_max_us) {
        tell(State::Behind, format!("{} is {} behind", reach.topic, span(behind_us)));
    }
    match standing.span {
        _ if reach.unheard.is_empty() && standing.counted.total == 0 => {
            tell(State::NoTraffic, format!("nothing was counted of {}", standing.indicator));
        }
        Some(counted) => {
            let recent = counted.to.minus_us(recent_us);
            let seen = match tier {
                Some((index, _)) => standing.rules[index].long.is_some_and(|long| long.total > 0),
                None => reading.history(name).is_some_and(|history| history.sum(recent, counted.to).total > 0),
            };
            if !seen {
                tell(State::NoTraffic, format!("nothing came in the last {}", span(recent_us)));
            }
            let recent_lacks = reading.lacks(name, recent, counted.to);
            for lack in &recent_lacks {
                tell(State::NoCoverage, format!("a part of the last {} is missing ({lack})", span(recent_us)));
            }
            for lack in reading.lacks(name, counted.from, recent).difference(&recent_lacks) {
                tell(State::Fine, format!("an earlier part of the period is missing ({lack})"));
            }
        }
        None => {}
    }
    if let Some(last) = reading.counted_otherwise(name) {
        let until = rfc3339_text(last);
        tell(State::Fine, format!("up to {until} other definitions counted {} in another way", standing.indicator));
    }
    let standing = Some(standing.clone());
    Assessment { slo: name.clone(), state, remarks, firing, reach: Some(reach), behind_us, standing }
}

fn firing_alert(slo: &str, rule: &RuleStanding) -> Option<FiringAlert> {
    let Alert::Firing { since } = rule.alert else { return None };
    Some(FiringAlert { id: alert_id(slo, &rule.rule, since), rule: rule.rule.clone(), severity: rule.severity, since })
}
