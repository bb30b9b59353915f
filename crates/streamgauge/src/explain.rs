//! `streamgauge explain`: every number of one alert, with the arithmetic from counts.

mod text;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::anyhow;
use clap::Args;
use serde::Serialize;
use streamgauge_definitions::Budgeting;
use streamgauge_events::EventTime;
use streamgauge_slo::significance::binomial_tail;
use streamgauge_slo::sums::bucket_us;
use streamgauge_slo::{Condition, Fraction, Rule, Tally, Target};
use streamgauge_stage_slo::{AlertRecord, WindowCounts};

use crate::cli::bad_usage;
use crate::facts_input::FactsArgs;
use crate::objectives::{self, BudgetAt, Firing, Reading};
use crate::slo_text::Unit;
use crate::windows_text::{print_data, print_lines};

/// Explain an alert: every number of it, with the arithmetic from counts
///
/// Says what the alert saw when it fired and when it resolved: both windows, the factor, whether it could have been chance, and
/// what it cost of the budget. Comparisons are shown as they were made, in integers.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  streamgauge explain 1ca9ce3f --input out
  streamgauge explain 1ca9ce3f --brokers 127.0.0.1:9092 --json

`streamgauge status` and `streamgauge backtest` print the ids of alerts. An id is made of the SLO, the rule and the time of \
firing: whoever reads the same facts by the same definitions finds the same alert.

Exit codes: 0 done, 2 no such alert, bad usage, or nothing that could be judged.

docs/slo.md explains every word and number.")]
pub struct ExplainArgs {
    /// The id of the alert
    #[arg(value_name = "ALERT")]
    alert: String,
    #[command(flatten)]
    facts: FactsArgs,
    /// Only this tenant; needed where facts are of several
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// Judge by these definitions, not by those that the facts cite: files, or directories of them
    #[arg(long, value_name = "PATH")]
    definitions: Vec<PathBuf>,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

pub fn run(args: ExplainArgs) -> anyhow::Result<ExitCode> {
    show(&args).map_err(bad_usage)
}

fn show(args: &ExplainArgs) -> anyhow::Result<ExitCode> {
    let reading = objectives::read(&args.facts, args.tenant.as_deref(), &args.definitions, &[])?;
    let Some(firing) = reading.alerts.iter().find(|firing| firing.id == args.alert) else {
        let count = reading.alerts.len();
        return Err(anyhow!(
            "no alert has the id {:?}; {count} fired by these definitions: `streamgauge backtest` lists them, each with its id. \
             Alerts of other definitions are found with --definitions",
            args.alert
        ));
    };
    let explanation = explain(&reading, firing);
    if args.json {
        let line = serde_json::to_string(&explanation).expect("texts and numbers always have a JSON form");
        print_data([line])?;
    } else {
        print_lines(text::lines(&explanation))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// All that is known of one alert.
#[derive(Serialize)]
struct Explanation {
    id: String,
    #[serde(skip)]
    target: Target,
    #[serde(skip)]
    unit: Unit,
    unit_text: String,
    window: String,
    condition: Condition,
    fired: Moment,
    #[serde(skip_serializing_if = "Option::is_none")]
    resolved: Option<Moment>,
    /// Where the facts end.
    #[serde(serialize_with = "crate::slo_text::time")]
    end: EventTime,
    /// Trace ids of bad events of the long window, or of the last hour before it fired.
    exemplars: Vec<String>,
}

/// A transition, and what led to it.
#[derive(Serialize)]
struct Moment {
    record: AlertRecord,
    #[serde(skip_serializing_if = "Option::is_none")]
    windows: Option<[Window; 2]>,
    /// Of the long window, the probability that so many are bad by chance; absent where there are too few, or so many that
    /// nobody asks.
    #[serde(skip_serializing_if = "Option::is_none")]
    chance: Option<f64>,
    /// Budget of the period as it is known now.
    #[serde(skip_serializing_if = "Option::is_none")]
    budget: Option<BudgetCounts>,
}

/// A window of a tier, long or short.
#[derive(Serialize)]
struct Window {
    length_us: i64,
    #[serde(serialize_with = "crate::slo_text::time")]
    from: EventTime,
    bad: i128,
    total: i128,
    burn: Option<f64>,
    /// The two sides of burn > factor, multiplied out: bad x D x f_d, and f_n x (D - T_n) x total.
    left: i128,
    right: i128,
    /// What the window holds now, where late records have changed it since.
    #[serde(skip_serializing_if = "Option::is_none")]
    now: Option<Tally>,
}

#[derive(Serialize)]
struct BudgetCounts {
    bad: i128,
    /// What may be bad is a share of so many.
    of: i128,
    counted: i128,
    remaining: Option<f64>,
    /// What the long window spent of it.
    long_share: Option<f64>,
}

fn explain(reading: &Reading, firing: &Firing) -> Explanation {
    let name = &firing.fired.slo;
    let slo = reading.slo(name);
    let objective = reading.objective(name);
    let rule = objective.rules.iter().find(|rule| rule.name == firing.fired.rule).expect("a rule of this SLO fired");
    let unit = Unit::of(slo, &reading.definitions.slis[&slo.indicator]);
    let at = firing.fired.at;
    let looked_at_us = match rule.condition {
        Condition::Burn(tier) => tier.long_us,
        _ => 3_600_000_000,
    };
    let exemplars = reading.history(name).map(|history| history.exemplars(at.minus_us(looked_at_us), at));
    Explanation {
        id: firing.id.clone(),
        target: objective.target,
        unit,
        unit_text: unit.text(),
        window: slo.window.to_string(),
        condition: rule.condition.clone(),
        fired: moment(reading, &firing.fired, rule, objective.target, unit),
        resolved: firing.resolved.as_ref().map(|record| moment(reading, record, rule, objective.target, unit)),
        end: reading.end(name).unwrap_or(at),
        exemplars: exemplars.unwrap_or_default(),
    }
}

fn moment(reading: &Reading, record: &AlertRecord, rule: &Rule, target: Target, unit: Unit) -> Moment {
    let history = reading.history(&record.slo);
    let by_events = matches!(reading.slo(&record.slo).budgeting, Budgeting::Occurrences);
    let window = |length_us: i64, factor: Fraction, counts: WindowCounts| {
        let from = record.at.minus_us(length_us).floor(bucket_us(length_us, reading.pane_us()));
        // What counts by slices of the budget can't be added up from events.
        // A slice that had not ended was not counted.
        let until = |width_us: i64| record.at.minus_us(width_us - 1);
        let now = history.as_ref().filter(|_| by_events).map(|history| history.sum(from, until(history.width_us)));
        let (left, right) = sides(target, counts, factor);
        let WindowCounts { bad, total, burn } = counts;
        let now = now.filter(|now| *now != Tally::new(bad, total));
        Window { length_us, from, bad, total, burn, left, right, now }
    };
    let windows = match (&rule.condition, record.long, record.short) {
        (Condition::Burn(tier), Some(long), Some(short)) => {
            Some([window(tier.long_us, tier.factor, long), window(tier.short_us, tier.factor, short)])
        }
        _ => None,
    };
    let chance = match (&rule.condition, record.long) {
        (Condition::Burn(tier), Some(long)) => {
            let whole = WindowCounts { bad: unit.whole(long.bad), total: unit.whole(long.total), ..long };
            chance(target, tier.factor, whole)
        }
        _ => None,
    };
    let budget = history.and_then(|history| reading.budgets(&record.slo, &history, None, &[record.at]).pop());
    Moment {
        windows,
        chance,
        budget: budget.map(|budget| budget_counts(target, budget, record)),
        record: record.clone(),
    }
}

/// burn > f <=> bad D f_d > f_n (D - T_n) n.
fn sides(target: Target, counts: WindowCounts, factor: Fraction) -> (i128, i128) {
    let b = target.allowed();
    let left = counts.bad * i128::from(b.denominator) * i128::from(factor.denominator);
    (left, i128::from(factor.numerator) * i128::from(b.numerator) * counts.total)
}

/// P(Bin(n, f b) >= bad), as the rule about low traffic asks.
fn chance(target: Target, factor: Fraction, counts: WindowCounts) -> Option<f64> {
    const TOTAL_MAX: i128 = 1_000_000;
    let (bad, total) = (u64::try_from(counts.bad).ok()?, u64::try_from(counts.total).ok()?);
    let p = factor.to_f64() * target.allowed().to_f64();
    (counts.total < TOTAL_MAX && p < 1.0).then(|| binomial_tail(bad, total, p))
}

fn budget_counts(target: Target, budget: BudgetAt, record: &AlertRecord) -> BudgetCounts {
    let (b, of) = (target.allowed(), budget.budget.tally.total);
    let allowed = i128::from(b.numerator) * of;
    let long_share =
        record.long.filter(|_| allowed > 0).map(|long| (long.bad * i128::from(b.denominator)) as f64 / allowed as f64);
    let (bad, counted) = (budget.budget.tally.bad, budget.counted.total);
    BudgetCounts { bad, of, counted, remaining: budget.remaining, long_share }
}
