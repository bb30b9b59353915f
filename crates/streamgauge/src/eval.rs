//! `streamgauge eval`: what one SLI makes of single events, and why.

use std::io::{BufRead as _, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use anyhow::{Context as _, anyhow};
use clap::Args;
use serde_json::{Value, json};
use streamgauge_definitions::{Bundle, BundleSettings};
use streamgauge_events::{Event, Reason, Rejection};
use streamgauge_predicate::Part;
use streamgauge_stage_sli::{Explainer, Explanation, Outcome};

use crate::cli::bad_usage;
use crate::definitions;
use crate::windows_text::{harmless, print_data, print_lines};

/// A record larger than this is refused by Kafka's default, too.
const LINE_BYTES_MAX: u64 = 1 << 20;

/// Show for single events what an SLI matches, what is good, and why
///
/// Reads events as JSON lines, one a line, as they stand in the topic of the SLI. Judges them by the very code that the
/// stage counts with; nothing is written anywhere.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  streamgauge eval --definitions docker/definitions --sli checkout-pay-fast --input sample.jsonl
  kcat -C -b 127.0.0.1:9092 -t requests -c 20 -o -20 | streamgauge eval --definitions slis.yaml --sli fast --input -
  streamgauge eval --definitions slis.yaml --sli fast --input sample.jsonl --only bad,unjudged

Exit codes: 0 done, 1 a sample can't be read, 2 bad usage or definitions.")]
pub struct EvalArgs {
    /// The SLI, by metadata.name
    #[arg(long, value_name = "NAME")]
    sli: String,
    /// Definition files, or directories of them (*.yaml)
    #[arg(long, required = true, value_name = "PATH")]
    definitions: Vec<PathBuf>,
    /// Events as JSON lines; `-` for standard input
    #[arg(long, value_name = "FILE")]
    input: PathBuf,
    /// Show only events with these outcomes
    #[arg(long, value_enum, value_delimiter = ',', value_name = "OUTCOME")]
    only: Vec<Shown>,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
enum Shown {
    Good,
    Bad,
    Unjudged,
    /// Goes into a slice, or carries counts
    Used,
    /// Left out, not matched by the filter, or of another service
    NotCounted,
    /// Would be a dead letter
    Rejected,
}

pub fn run(args: EvalArgs) -> anyhow::Result<ExitCode> {
    let definitions = definitions::read(&args.definitions).map_err(bad_usage)?;
    let bundle = Bundle { settings: BundleSettings::default(), definitions };
    let explainer = Explainer::new(&bundle, &args.sli).map_err(|error| bad_usage(anyhow!(error)))?;
    let mut input = open(&args.input)?;
    let mut counts = std::collections::BTreeMap::<Shown, u64>::new();
    let mut number = 0;
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = input.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line);
        let read = read.with_context(|| format!("couldn't read {}", args.input.display()))?;
        if read == 0 {
            break;
        }
        number += 1;
        let value = line.trim_ascii_end();
        if value.is_empty() {
            continue;
        }
        let judged = if read as u64 == LINE_BYTES_MAX && !line.ends_with(b"\n") {
            input.skip_until(b'\n').with_context(|| format!("couldn't read {}", args.input.display()))?;
            let message =
                format!("the line has {LINE_BYTES_MAX} bytes and more; Kafka takes no such record by default");
            Err(Rejection::new(Reason::Undecodable, message))
        } else {
            Event::from_json(explainer.kind(), value).map(|event| explainer.explain(&event))
        };
        let shown = shown_as(&judged);
        *counts.entry(shown).or_default() += 1;
        if !args.only.is_empty() && !args.only.contains(&shown) {
            continue;
        }
        match args.json {
            true => print_data([json_line(number, &judged)])?,
            false => print_lines(text(number, value, &judged))?,
        }
    }
    if !args.json {
        let of = |shown| counts.get(&shown).copied().unwrap_or_default();
        let (good, bad, unjudged) = (of(Shown::Good), of(Shown::Bad), of(Shown::Unjudged));
        let (used, rest, rejected) = (of(Shown::Used), of(Shown::NotCounted), of(Shown::Rejected));
        let (topic, kind) = (explainer.topic(), explainer.kind());
        print_lines([format!(
            "{good} good, {bad} bad, {unjudged} unjudged, {used} used, {rest} not counted, {rejected} rejected ({kind} events of {topic}, {})",
            explainer.measure().name()
        )])?;
    }
    Ok(ExitCode::SUCCESS)
}

fn open(path: &Path) -> anyhow::Result<Box<dyn std::io::BufRead>> {
    if path == Path::new("-") {
        return Ok(Box::new(std::io::BufReader::new(std::io::stdin())));
    }
    let file = std::fs::File::open(path).with_context(|| format!("couldn't open {}", path.display()));
    Ok(Box::new(std::io::BufReader::new(file.map_err(bad_usage)?)))
}

type Judged = Result<Explanation, Rejection>;

fn shown_as(judged: &Judged) -> Shown {
    match judged.as_ref().map(|explanation| explanation.outcome) {
        Err(_) => Shown::Rejected,
        Ok(Outcome::Good) => Shown::Good,
        Ok(Outcome::Bad) => Shown::Bad,
        Ok(Outcome::Unjudged) => Shown::Unjudged,
        Ok(Outcome::Used | Outcome::Counts { .. }) => Shown::Used,
        Ok(Outcome::OtherService | Outcome::NotMatched | Outcome::LeftOut) => Shown::NotCounted,
    }
}

fn word(outcome: Outcome) -> String {
    match outcome {
        Outcome::OtherService => "other service".to_owned(),
        Outcome::NotMatched => "not matched".to_owned(),
        Outcome::LeftOut => "left out".to_owned(),
        Outcome::Good => "good".to_owned(),
        Outcome::Bad => "bad".to_owned(),
        Outcome::Unjudged => "unjudged".to_owned(),
        Outcome::Counts { good, total } => format!("{good} of {total}"),
        Outcome::Used => "used".to_owned(),
    }
}

fn text(number: u64, value: &[u8], judged: &Judged) -> Vec<String> {
    let coloured = |colour: AnsiColor| Style::new().bold().fg_color(Some(colour.into()));
    let (style, word, why) = match judged {
        Err(rejection) => (coloured(AnsiColor::Red), "dead letter".to_owned(), rejection.to_string()),
        Ok(Explanation { outcome, why, .. }) => {
            let style = match outcome {
                Outcome::Good | Outcome::Used => coloured(AnsiColor::Green),
                Outcome::Bad => coloured(AnsiColor::Red),
                Outcome::Unjudged | Outcome::Counts { .. } => coloured(AnsiColor::Yellow),
                _ => Style::new().bold(),
            };
            (style, word(*outcome), why.clone())
        }
    };
    let record: String = String::from_utf8_lossy(value).chars().take(200).collect();
    let mut lines =
        vec![format!("{number}: {}", harmless(&record)), format!("   {style}{word}{style:#}: {}", harmless(&why))];
    if let Ok(explanation) = judged {
        lines.extend(parts("filter", &explanation.filter));
        lines.extend(parts("good", &explanation.good));
        if !explanation.labels.is_empty() {
            let labels = explanation
                .labels
                .iter()
                .map(|(name, value)| format!("{name}={}", value.as_deref().unwrap_or("(absent)")));
            lines.push(format!("   series: {}", harmless(&labels.collect::<Vec<_>>().join(" "))));
        }
    }
    lines
}

fn parts(of: &str, parts: &[Part]) -> Vec<String> {
    let line = |part: &Part| {
        let holds = match part.holds {
            Some(true) => "yes",
            Some(false) => "no",
            None => "undecided",
        };
        let found = if part.found.is_empty() { String::new() } else { format!("  ({})", harmless(&part.found)) };
        format!("   {of}: {}{} → {holds}{found}", "  ".repeat(part.depth), part.text)
    };
    parts.iter().map(line).collect()
}

fn json_line(number: u64, judged: &Judged) -> String {
    let part =
        |part: &Part| json!({ "text": part.text, "found": part.found, "holds": part.holds, "depth": part.depth });
    let value: Value = match judged {
        Err(rejection) => json!({
            "line": number,
            "outcome": "rejected",
            "reason": rejection.reason.as_str(),
            "why": rejection.message,
        }),
        Ok(explanation) => {
            let labels: serde_json::Map<String, Value> =
                explanation.labels.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
            json!({
                "line": number,
                "outcome": word(explanation.outcome).replace(' ', "_"),
                "why": explanation.why,
                "filter": explanation.filter.iter().map(part).collect::<Vec<_>>(),
                "good": explanation.good.iter().map(part).collect::<Vec<_>>(),
                "labels": labels,
            })
        }
    };
    value.to_string()
}
