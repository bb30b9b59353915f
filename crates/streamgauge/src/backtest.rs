//! `streamgauge backtest`: which alerts would have fired, and how well they tell of incidents that are known.

mod incidents;
mod scores;
mod text;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::anyhow;
use clap::Args;
use serde_json::{Value, json};
use streamgauge_definitions::Share;
use streamgauge_events::EventTime;
use streamgauge_slo::{Fraction, Severity, Target};
use streamgauge_windows::window::rfc3339_text;

use crate::cli::bad_usage;
use crate::facts_input::FactsArgs;
use crate::objectives::{self, Firing, Reading};
use crate::windows::instant;
use crate::windows_text::{print_data, print_lines};
use incidents::{Incident, Incidents};
use scores::{Score, score};

/// Show which alerts would have fired on what was counted, and hold them against known incidents
///
/// Goes over all facts grid point by grid point, as the alarms do, by the definitions that the facts cite or by others. With a
/// file of incidents: how many alerts told of one (precision), how many incidents an alert told of (recall), how long it took
/// from an incident's start to the alert (detection) and from its end until the alert resolved (reset).
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  streamgauge backtest --input out
  streamgauge backtest slos.yaml --input out --incidents incidents.yaml
  streamgauge backtest definitions --input out --incidents incidents.yaml --targets 0.999,0.99,0.95
  streamgauge backtest --brokers 127.0.0.1:9092 --from 2026-01-05 --to 2026-01-12 --json

A file of incidents is YAML; grace and merge are optional, and so are service and name:
  grace: 5m   # an alert may fire so long before an incident's start or after its end
  merge: 1m   # incidents of one service that are no further apart than this are one
  incidents:
    - { start: 2026-01-05T10:00:00Z, end: 2026-01-05T10:20:00Z, service: checkout, name: bad deployment }

Exit codes: 0 done, 2 bad usage, or nothing that could be judged.

docs/slo.md explains every word and number.")]
pub struct BacktestArgs {
    /// Judge by these definitions, not by those that the facts cite: files, or directories of them
    #[arg(value_name = "PATH")]
    definitions: Vec<PathBuf>,
    #[command(flatten)]
    facts: FactsArgs,
    /// Only this tenant; needed where facts are of several
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// Known incidents
    #[arg(long, value_name = "FILE")]
    incidents: Option<PathBuf>,
    /// Try each SLO at each of these targets in place of its own: shares of 1, such as 0.999
    #[arg(long, value_name = "TARGET", value_delimiter = ',', value_parser = target)]
    targets: Vec<Share>,
    /// Only this SLO
    #[arg(long, value_name = "NAME")]
    slo: Option<String>,
    /// Alerts that fire from this time on: 2026-01-31, 2026-01-31T10:00:00Z, or with an offset such as +02:00. What was
    /// counted before is in the windows all the same
    #[arg(long, value_name = "TIME", value_parser = instant)]
    from: Option<EventTime>,
    /// Alerts that fire before this time
    #[arg(long, value_name = "TIME", value_parser = instant)]
    to: Option<EventTime>,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

fn target(text: &str) -> Result<Share, String> {
    let share: Fraction = text.parse().map_err(|error| format!("{error}; 99.9% is 0.999"))?;
    Target::new(share).map_err(|error| format!("{error}; 99.9% is 0.999"))?;
    Ok(Share { numerator: share.numerator, denominator: share.denominator })
}

pub fn run(args: BacktestArgs) -> anyhow::Result<ExitCode> {
    let incidents = args.incidents.as_deref().map(incidents::read).transpose().map_err(bad_usage)?;
    let reading =
        objectives::read(&args.facts, args.tenant.as_deref(), &args.definitions, &args.targets).map_err(bad_usage)?;
    let tests = tests(&args, &reading, incidents.as_ref()).map_err(bad_usage)?;
    let together = match &incidents {
        Some(incidents) if args.targets.is_empty() && tests.len() > 1 => together(&tests, incidents),
        _ => Vec::new(),
    };
    if args.json {
        print_data([json(&reading, &tests, incidents.as_ref(), &together).to_string()])?;
    } else {
        print_lines(text::lines(&reading, &tests, incidents.as_ref(), &together))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// One SLO, its alerts, and what they are worth.
struct Test<'r> {
    slo: &'r str,
    /// Within --from and --to, and what was counted.
    from: EventTime,
    to: EventTime,
    /// Where the facts end.
    end: EventTime,
    /// Whether anything was counted at all.
    is_counted: bool,
    alerts: Vec<&'r Firing>,
    /// Those of its service that lie in this time.
    incidents: Vec<&'r Incident>,
    incidents_outside: usize,
    scores: Vec<(Set, Score)>,
}

/// Alerts that are looked at together.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Set {
    Rule(String, Severity),
    /// All of severity critical.
    Pages,
    All,
}

impl Set {
    fn name(&self) -> &str {
        match self {
            Self::Rule(name, _) => name,
            Self::Pages => "all critical ones",
            Self::All => "all",
        }
    }

    fn severity(&self) -> &'static str {
        match self {
            Self::Rule(_, severity) => severity.as_str(),
            Self::Pages => Severity::Critical.as_str(),
            Self::All => "any",
        }
    }

    fn holds(&self, firing: &Firing) -> bool {
        match self {
            Self::Rule(name, _) => firing.fired.rule == *name,
            Self::Pages => firing.fired.severity == Severity::Critical,
            Self::All => true,
        }
    }
}

fn tests<'r>(
    args: &BacktestArgs,
    reading: &'r Reading,
    incidents: Option<&'r Incidents>,
) -> anyhow::Result<Vec<Test<'r>>> {
    let own_name = |name: &str| name.split('@').next().map(str::to_owned);
    let is_asked =
        |name: &&String| args.slo.is_none() || args.slo.as_ref() == Some(*name) || args.slo == own_name(name);
    let names: Vec<&String> = reading.standings.keys().filter(is_asked).collect();
    if let (Some(asked), true) = (&args.slo, names.is_empty()) {
        let known: Vec<&str> = reading.standings.keys().map(String::as_str).collect();
        return Err(anyhow!("no SLO that can be judged is called {asked:?}; these can: {}", known.join(", ")));
    }
    Ok(names.into_iter().filter_map(|name| test(args, reading, incidents, name)).collect())
}

/// `None` where not even its topic was counted.
fn test<'r>(
    args: &BacktestArgs,
    reading: &'r Reading,
    incidents: Option<&'r Incidents>,
    name: &'r str,
) -> Option<Test<'r>> {
    let counted = reading.standings[name].span?;
    let history = reading.history(name)?;
    let (end, is_counted) = (counted.to, !history.tallies.is_empty());
    let from = args.from.map_or(history.first, |from| from.max(history.first));
    let to = args.to.map_or(end, |to| to.min(end));
    let is_asked = |firing: &&Firing| {
        let at = firing.fired.at;
        firing.fired.slo == name && from <= at && args.to.is_none_or(|to| at < to)
    };
    let alerts: Vec<&Firing> = reading.alerts.iter().filter(is_asked).collect();
    let service = &reading.slo(name).service;
    let is_mine = |incident: &&Incident| incident.service.as_ref().is_none_or(|of| of == service);
    let mine = incidents.map(|incidents| incidents.incidents.iter().filter(is_mine)).into_iter().flatten();
    let (incidents_in, outside): (Vec<&Incident>, Vec<&Incident>) =
        mine.partition(|incident| incident.start < to && incident.end > from);
    let rules = reading.objective(name).rules.into_iter().map(|rule| Set::Rule(rule.name, rule.severity));
    let scored = |set: Set| {
        let alerts: Vec<&Firing> = alerts.iter().copied().filter(|firing| set.holds(firing)).collect();
        let score = score(&alerts, &incidents_in, incidents.map_or(0, |incidents| incidents.grace_us));
        (set, score)
    };
    let scores = rules.chain([Set::Pages, Set::All]).map(scored).collect();
    let incidents_outside = outside.len();
    Some(Test { slo: name, from, to, end, is_counted, alerts, incidents: incidents_in, incidents_outside, scores })
}

/// The alerts of all SLOs against the incidents of all of them.
fn together(tests: &[Test<'_>], known: &Incidents) -> Vec<(Set, Score)> {
    let is_mine = |incident: &&Incident| tests.iter().any(|test| test.incidents.contains(incident));
    let incidents: Vec<&Incident> = known.incidents.iter().filter(is_mine).collect();
    let scored = |set: Set| {
        let alerts = tests.iter().flat_map(|test| &test.alerts).copied().filter(|firing| set.holds(firing));
        let score = score(&alerts.collect::<Vec<_>>(), &incidents, known.grace_us);
        (set, score)
    };
    [Set::Pages, Set::All].map(scored).into()
}

fn json(reading: &Reading, tests: &[Test<'_>], incidents: Option<&Incidents>, together: &[(Set, Score)]) -> Value {
    let ratio = |part: usize, whole: usize| (whole > 0).then(|| part as f64 / whole as f64);
    let score_json = |(set, score): &(Set, Score)| {
        json!({
            "rule": set.name(),
            "severity": set.severity(),
            "precision": ratio(score.alerts_true, score.alerts),
            "recall": ratio(score.found, score.incidents),
            "detection_us_median": scores::median(&score.detection_us),
            "reset_us_median": scores::median(&score.reset_us),
            "score": score,
        })
    };
    let alert_json = |test: &Test<'_>, firing: &Firing| {
        json!({
            "id": firing.id,
            "fired": firing.fired,
            "resolved": firing.resolved,
            "for_us": firing.until(test.end).0 - firing.fired.at.0,
            "incident": text::incident_of(firing, test, incidents).map(|incident| &incident.name),
        })
    };
    let slos = tests.iter().map(|test| {
        json!({
            "slo": test.slo,
            "counted": test.is_counted,
            "from": rfc3339_text(test.from),
            "to": rfc3339_text(test.to),
            "alerts": test.alerts.iter().map(|firing| alert_json(test, firing)).collect::<Vec<_>>(),
            "incidents": test.incidents,
            "incidents_outside": test.incidents_outside,
            "scores": incidents.map(|_| test.scores.iter().map(score_json).collect::<Vec<_>>()),
        })
    });
    json!({
        "definitions": reading.hash,
        "slos": slos.collect::<Vec<_>>(),
        "together": together.iter().map(score_json).collect::<Vec<_>>(),
        "not_counted": reading.uncounted,
    })
}
