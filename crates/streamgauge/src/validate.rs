//! `streamgauge validate`: every mistake of a set of definition files at once.

use std::path::PathBuf;
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use anyhow::{anyhow, bail};
use clap::Args;
use streamgauge_definitions::{Definitions, Mistake};

use crate::cli::{EXIT_USAGE, bad_usage};
use crate::definitions;
use crate::windows_text::{print_data, print_lines};

/// Check definition files: every mistake at once, with its place and a remedy
///
/// Reads OpenSLO v1 documents of kind Service, DataSource and SLI, as `streamgauge-sli --definitions` does. Predicates
/// are checked against the fields of the events, Avro schemas against what they must hold.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  streamgauge validate docker/definitions
  streamgauge validate services.yaml slis.yaml --json

Exit codes: 0 valid, 2 mistakes were found or a file can't be read.

docs/definitions.md shows each document as a whole; docs/predicates.md the language of `filter` and `good`.")]
pub struct ValidateArgs {
    /// Definition files, or directories of them (*.yaml, those below included)
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// One JSON object for each mistake, and one at the end
    #[arg(long)]
    json: bool,
    /// Say nothing where there is no mistake
    #[arg(long, short)]
    quiet: bool,
}

pub fn run(args: ValidateArgs) -> anyhow::Result<ExitCode> {
    let texts = texts(&args.paths).map_err(bad_usage)?;
    let found = definitions::parse(&texts);
    if found.as_ref().is_ok_and(|found| *found == Definitions::default()) {
        let files: Vec<&str> = texts.iter().map(|(name, _)| name.as_str()).collect();
        return Err(bad_usage(anyhow!("no document in {}: nothing would be defined", files.join(", "))));
    }
    if args.json {
        print_data(json_lines(&found))?;
    } else {
        match &found {
            Ok(definitions) if !args.quiet => print_lines(summary(definitions))?,
            Ok(_) => {}
            Err(mistakes) => print_lines(report(mistakes, texts.len()))?,
        }
    }
    Ok(if found.is_ok() { ExitCode::SUCCESS } else { ExitCode::from(EXIT_USAGE) })
}

fn texts(paths: &[PathBuf]) -> anyhow::Result<Vec<(String, String)>> {
    let texts = definitions::texts(paths)?;
    if texts.is_empty() {
        let paths: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
        bail!("no *.yaml file in {}", paths.join(", "));
    }
    Ok(texts)
}

fn report(mistakes: &[Mistake], files: usize) -> Vec<String> {
    let (bold, dimmed) = (Style::new().bold(), Style::new().dimmed());
    let red = Style::new().fg_color(Some(AnsiColor::Red.into()));
    let mut lines = Vec::new();
    for Mistake { file, line, column, path, found, expected, remedy } in mistakes {
        lines.push(format!("{bold}{file}:{line}:{column}{bold:#}  {path}"));
        lines.push(format!("  {dimmed}found{dimmed:#}     {red}{found}{red:#}"));
        lines.push(format!("  {dimmed}expected{dimmed:#}  {expected}"));
        lines.push(format!("  {dimmed}remedy{dimmed:#}    {remedy}"));
        lines.push(String::new());
    }
    let (count, all) = (counted(mistakes.len(), "mistake"), counted(files, "file"));
    lines.push(format!("{count} in {all}; nothing of them would be used"));
    lines
}

fn summary(definitions: &Definitions) -> Vec<String> {
    let Definitions { services, sources, slis, slos, notification_targets: _ } = definitions;
    let mut lines = Vec::new();
    for (name, sli) in slis {
        lines.push(format!("  {name}  {} of {} in {}", sli.good.name(), sli.service, sli.topic));
    }
    for (name, slo) in slos {
        lines.push(format!("  {name}  {} of {} over {}", slo.target.percent_text(), slo.indicator, slo.window));
    }
    let (services, slis) = (counted(services.len(), "service"), counted(slis.len(), "SLI"));
    let (sources, slos) = (counted(sources.len(), "data source"), counted(slos.len(), "SLO"));
    lines.push(format!("valid: {services}, {sources}, {slis}, {slos}"));
    lines
}

fn json_lines(found: &Result<Definitions, Vec<Mistake>>) -> Vec<String> {
    let line = |value: serde_json::Value| value.to_string();
    match found {
        Ok(definitions) => vec![line(serde_json::json!({
            "valid": true,
            "services": definitions.services.len(),
            "data_sources": definitions.sources.len(),
            "slis": definitions.slis.len(),
            "slos": definitions.slos.len(),
        }))],
        Err(mistakes) => {
            let mut lines: Vec<String> =
                mistakes.iter().map(|mistake| line(serde_json::json!({ "mistake": mistake }))).collect();
            lines.push(line(serde_json::json!({ "valid": false, "mistakes": mistakes.len() })));
            lines
        }
    }
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
