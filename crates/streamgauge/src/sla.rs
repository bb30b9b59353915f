//! `streamgauge sla`: how good each SLO was in a calendar month, and when it was down.

mod month;
mod text;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::anyhow;
use clap::Args;
use jiff::tz::TimeZone;
use serde::Serialize;
use streamgauge_definitions::{Budgeting, Share, duration_text};
use streamgauge_events::EventTime;
use streamgauge_slo::{Calendar, Fraction, Period, Tally, calendar::Unit as CalendarUnit};

use crate::cli::bad_usage;
use crate::facts_input::FactsArgs;
use crate::objectives::{self, BudgetAt, History, Over, Reading};
use crate::slo_text::Unit;
use crate::windows_text::{print_data, print_lines};
use month::{Downtime, Month, Slices};

/// Report a calendar month: availability, downtime, and whether each SLO was met
///
/// Counts what the month holds, by the SLO's own way of budgeting. Downtime is made of slices of time whose share of good ones
/// is below the target, joined where they touch. A month that is not over, or not counted to its end, is reported to date, and
/// says so.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  streamgauge sla 2026-10 --input out
  streamgauge sla 2026-10 --input out --slo checkout-availability --time-zone Europe/Berlin --markdown
  streamgauge sla 2026-10 --brokers 127.0.0.1:9092 --json

Exit codes: 0 every SLO was met so far, 1 one was missed, 2 nobody can tell: nothing was counted in the month, a definition is \
not what the facts were counted by, or bad usage.

docs/slo.md explains every word and number.")]
pub struct SlaArgs {
    /// The month, such as 2026-10
    #[arg(value_parser = month::parse)]
    month: jiff::civil::Date,
    #[command(flatten)]
    facts: FactsArgs,
    /// Only this tenant; needed where facts are of several
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// Judge by these definitions, not by those that the facts cite: files, or directories of them
    #[arg(long, value_name = "PATH")]
    definitions: Vec<PathBuf>,
    /// Only this SLO
    #[arg(long, value_name = "NAME")]
    slo: Option<String>,
    /// The zone in which the month begins and ends, such as Europe/Berlin
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    time_zone: String,
    /// Markdown, to be put into a page or a mail
    #[arg(long, conflicts_with = "json")]
    markdown: bool,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

const EXIT_MISSED: u8 = 1;
const EXIT_UNKNOWN: u8 = 2;

pub fn run(args: SlaArgs) -> anyhow::Result<ExitCode> {
    show(&args).map_err(bad_usage)
}

fn show(args: &SlaArgs) -> anyhow::Result<ExitCode> {
    let zone = TimeZone::get(&args.time_zone)
        .map_err(|error| anyhow!("{:?} is no zone of the IANA database: {error}; try Europe/Berlin", args.time_zone))?;
    let calendar = Calendar::new(CalendarUnit::Months, 1, args.month, zone.clone()).expect("one month");
    let month = Month::of(args.month, &args.time_zone, &zone)?;
    let reading = objectives::read(&args.facts, args.tenant.as_deref(), &args.definitions, &[])?;
    let is_asked = |name: &&String| args.slo.as_ref().is_none_or(|asked| asked == *name);
    let reports: Vec<Sla> =
        reading.standings.keys().filter(is_asked).map(|name| sla(&reading, name, &month, &calendar)).collect();
    let uncounted: Vec<(&String, &String)> = reading.uncounted.iter().filter(|(name, _)| is_asked(name)).collect();
    if let (Some(asked), true) = (&args.slo, reports.is_empty() && uncounted.is_empty()) {
        let known: Vec<&str> = reading.standings.keys().chain(reading.uncounted.keys()).map(String::as_str).collect();
        return Err(anyhow!("no SLO is called {asked:?}; defined are: {}", known.join(", ")));
    }
    let document = Document { month, definitions: reading.hash.clone(), slos: reports, not_counted: uncounted };
    if args.json {
        let line = serde_json::to_string(&document).expect("texts and numbers always have a JSON form");
        print_data([line])?;
    } else if args.markdown {
        print_data(text::markdown(&document))?;
    } else {
        print_lines(text::lines(&document))?;
    }
    Ok(exit_code(&document))
}

fn exit_code(document: &Document<'_>) -> ExitCode {
    let has = |verdict: Verdict| document.slos.iter().any(|sla| sla.verdict == verdict);
    match () {
        () if has(Verdict::Missed) => ExitCode::from(EXIT_MISSED),
        () if has(Verdict::NoTraffic) || has(Verdict::NoCoverage) || !document.not_counted.is_empty() => {
            ExitCode::from(EXIT_UNKNOWN)
        }
        () => ExitCode::SUCCESS,
    }
}

/// All that the report says.
#[derive(Serialize)]
struct Document<'r> {
    month: Month,
    /// Hash of the definitions that judge.
    definitions: String,
    slos: Vec<Sla>,
    not_counted: Vec<(&'r String, &'r String)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    Met,
    Missed,
    /// The month was counted, and nothing came.
    NoTraffic,
    /// Nothing of the month was counted.
    NoCoverage,
}

impl Verdict {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::Missed => "missed",
            Self::NoTraffic => "no traffic",
            Self::NoCoverage => "no coverage",
        }
    }
}

/// The month of one SLO.
#[derive(Serialize)]
struct Sla {
    slo: String,
    service: String,
    indicator: String,
    target: String,
    #[serde(skip)]
    unit: Unit,
    unit_text: String,
    verdict: Verdict,
    /// The month is over, and all of it was counted.
    is_complete: bool,
    /// What was counted of the month, by the SLO's way of budgeting.
    counted: Tally,
    /// What may be bad is a share of so many: of what was counted, or of all slices of the month where the budget is one of
    /// slices.
    of: i128,
    /// How many of those may be bad, rounded down.
    allowed: String,
    remaining: Option<f64>,
    /// If the rest of the month is as busy, and nothing more is bad.
    #[serde(skip_serializing_if = "Option::is_none")]
    remaining_projected: Option<f64>,
    #[serde(serialize_with = "crate::slo_text::optional_time")]
    counted_to: Option<EventTime>,
    slices: Slices,
    /// Width of a slice, and below which share of good ones it is down.
    slice_text: String,
    downtime_us: i64,
    downtimes: Vec<Downtime>,
}

fn sla(reading: &Reading, name: &str, month: &Month, calendar: &Calendar) -> Sla {
    let (slo, target) = (reading.slo(name), reading.objective(name).target);
    let sli = &reading.definitions.slis[&slo.indicator];
    let unit = Unit::of(slo, sli);
    let history = reading.history(name);
    let slice = slice_of(reading, name);
    let at = history.as_ref().map(|history| history.end.min(month.to)).filter(|at| *at > month.from);
    let budget_of = |is_projected: bool| -> Option<BudgetAt> {
        let (history, at) = history.as_ref().zip(at)?;
        let over = Over { period: Period::Calendar(calendar.clone()), is_projected };
        reading.budgets(name, &of_month(history, month), Some(over), &[at]).pop()
    };
    let budget = budget_of(false);
    let slices = history.as_ref().zip(at).map(|(history, at)| {
        month::slices(history, month, at, slice, &|from, to| reading.lacks(name, from, to).is_empty())
    });
    let (slices, downtimes) = slices.unwrap_or_else(|| (Slices::unheard(month, slice.width_us), Vec::new()));
    let counted = budget.map_or(Tally::default(), |budget| budget.counted);
    let verdict = match budget {
        None => Verdict::NoCoverage,
        Some(_) if counted.total == 0 && slices.covered == 0 => Verdict::NoCoverage,
        Some(_) if counted.total == 0 => Verdict::NoTraffic,
        // Spent to the last, a budget was kept.
        Some(budget) if budget.budget.remains_less_than(target, Fraction::ZERO) == Some(true) => Verdict::Missed,
        Some(_) => Verdict::Met,
    };
    let is_complete = at == Some(month.to) && slices.covered == slices.all;
    Sla {
        slo: name.to_owned(),
        service: slo.service.clone(),
        indicator: slo.indicator.clone(),
        target: slo.target.percent_text(),
        unit,
        unit_text: unit.text(),
        verdict,
        is_complete,
        counted,
        allowed: budget.map_or_else(|| "0".to_owned(), |budget| unit.allowance(target, budget.budget)),
        remaining: budget.and_then(|budget| budget.remaining),
        remaining_projected: budget_of(true).filter(|_| !is_complete).and_then(|budget| budget.remaining),
        of: budget.map_or(0, |budget| budget.budget.tally.total),
        counted_to: at.filter(|_| slices.covered > 0),
        slices,
        slice_text: format!(
            "a slice is {}, and down if fewer than {} of it are good",
            duration_text(slice.width_us),
            slice.target.percent_text()
        ),
        downtime_us: downtimes.iter().map(|downtime| downtime.to.0 - downtime.from.0).sum(),
        downtimes,
    }
}

/// What downtime is made of.
#[derive(Clone, Copy, Debug)]
struct DownSlice {
    width_us: i64,
    /// The share of good ones from which on it is up.
    target: Share,
}

/// A minute, or the slices of the budget, or those of the SLI.
fn slice_of(reading: &Reading, name: &str) -> DownSlice {
    const MINUTE_US: i64 = 60_000_000;
    let slo = reading.slo(name);
    let own = reading.definitions.slis[&slo.indicator].good.slice();
    match slo.budgeting {
        Budgeting::Timeslices { target, width_us } => DownSlice { width_us, target },
        Budgeting::RatioTimeslices { width_us } => DownSlice { width_us, target: slo.target },
        Budgeting::Occurrences => {
            DownSlice { width_us: own.map_or(MINUTE_US, |slice| slice.length_us), target: slo.target }
        }
    }
}

/// What begins in the month.
fn of_month(history: &History, month: &Month) -> History {
    let tallies = history.tallies.range(month.from..month.to).map(|(start, tally)| (*start, *tally)).collect();
    History { tallies, ..history.clone() }
}
