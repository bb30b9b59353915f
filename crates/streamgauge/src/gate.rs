//! `streamgauge gate`: may this service be deployed? One answer, by an exit code, for pipelines.

mod answer;
mod text;
mod thaw;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use streamgauge_definitions::duration_us;
use streamgauge_events::EventTime;

use crate::cli::{bad_usage, is_bad_usage};
use crate::commands::{Log, Override, overrides_at};
use crate::definitions::Mistakes;
use crate::facts_input::FactsArgs;
use crate::objectives::{self, Reading};
use crate::windows::instant;
use crate::windows_text::{print_data, print_lines};

use answer::{Answer, Question, Verdict};

/// Say by the exit code whether a service may be deployed, or its error budget is spent
///
/// A service is frozen from when a budget of it is spent until its alarm budget-exhausted resolves, which is when 5% are left
/// again. It is unknown where nobody can tell, since the counting is behind or nothing was counted: that is no go.
/// `streamgauge override` lets a frozen service go; a rollback always goes.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  streamgauge gate --service checkout
  streamgauge gate --service checkout --rollback
  streamgauge gate --service checkout --slo checkout-availability --brokers kafka-1:9092 --json
  streamgauge gate --service checkout --input out

Exit codes: 0 go, 10 frozen, 11 unknown, 2 bad usage. With --rollback 0 where it would be 10 or 11; the answer says so all the \
same.

docs/gate.md shows it in a pipeline.")]
pub struct GateArgs {
    /// The service that would be deployed
    #[arg(long, value_name = "NAME")]
    service: String,
    /// Ask only this SLO of it
    #[arg(long, value_name = "NAME")]
    slo: Option<String>,
    /// This is a rollback: it must never be blocked
    #[arg(long)]
    rollback: bool,
    #[command(flatten)]
    facts: FactsArgs,
    /// Only this tenant; needed where facts are of several
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// Judge by these definitions, not by those that the facts cite: files, or directories of them
    #[arg(long, value_name = "PATH")]
    definitions: Vec<PathBuf>,
    /// Whoever is further behind than this can't tell. On Kafka 5m; files are as old as they are, unless this is given
    #[arg(long, value_name = "DURATION", value_parser = duration_us)]
    behind_after: Option<i64>,
    /// With --input, the time to go by in place of the clock's: to play through what was
    #[arg(long, value_name = "TIME", value_parser = instant, requires = "input")]
    now: Option<EventTime>,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

/// The stage commits every few seconds, and waits seconds for what is late: minutes are no ordinary lag.
const BEHIND_AFTER_US: i64 = 5 * 60_000_000;

pub fn run(args: GateArgs) -> anyhow::Result<ExitCode> {
    let on_kafka = args.facts.input.is_none();
    let question = Question {
        service: args.service.clone(),
        slo: args.slo.clone(),
        rollback: args.rollback,
        now: args.now.unwrap_or_else(crate::shell::now),
        behind_after_us: args.behind_after.or(on_kafka.then_some(BEHIND_AFTER_US)),
    };
    let answer = match objectives::read(&args.facts, args.tenant.as_deref(), &args.definitions, &[]) {
        Ok(reading) => with_overrides(&args, &question, &reading),
        // What the caller has to correct is no answer; but a rollback must not wait for it.
        Err(error) if !args.rollback && (is_bad_usage(&error) || error.is::<Mistakes>()) => {
            return Err(bad_usage(error));
        }
        Err(error) => answer::nothing_known(&question, format!("{error:#}")),
    };
    match args.json {
        true => print_data([serde_json::to_string(&answer).expect("texts and numbers always have a JSON form")])?,
        false => print_lines(text::lines(&answer))?,
    }
    Ok(ExitCode::from(answer.exit_code))
}

/// Decisions are read only where one could change the answer.
fn with_overrides(args: &GateArgs, question: &Question, reading: &Reading) -> Answer {
    let answer = answer::answer(reading, &[], question);
    if answer.answer != Verdict::Frozen {
        return answer;
    }
    match overrides(args, question.now) {
        Ok(overrides) => answer::answer(reading, &overrides, question),
        Err(error) => {
            anstream::eprintln!("warning: nobody can tell whether there is an override: {error:#}");
            answer
        }
    }
}

fn overrides(args: &GateArgs, now: EventTime) -> anyhow::Result<Vec<Override>> {
    let log = Log::read(&args.facts)?;
    log.warn();
    Ok(overrides_at(&log.commands, now))
}
