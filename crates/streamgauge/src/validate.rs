//! `streamgauge validate`: every mistake of a set of definition files at once, and what is probably not meant.

use std::path::PathBuf;
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use anyhow::{anyhow, bail};
use clap::Args;
use serde_json::json;
use streamgauge_definitions::{AlertRule, Checked, Definitions, Mistake, Slo};

use crate::cli::{EXIT_USAGE, bad_usage};
use crate::definitions;
use crate::windows_text::{print_data, print_lines};

/// Check definition files: every mistake at once, with its place and a remedy
///
/// Reads OpenSLO v1 documents, as `streamgauge-sli --definitions` does. Predicates are checked against the fields of the
/// events, Avro schemas against what they must hold. Warnings tell what is allowed and probably not meant, such as an alarm
/// that can never fire.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  streamgauge validate docker/definitions
  streamgauge validate services.yaml slis.yaml --json

Exit codes: 0 valid, 2 mistakes were found (or warnings, with --deny-warnings) or a file can't be read.

docs/definitions.md shows each document as a whole; docs/predicates.md the language of `filter` and `good`.")]
pub struct ValidateArgs {
    /// Definition files, or directories of them (*.yaml, those below included)
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// One JSON object for each mistake and each warning, and one at the end
    #[arg(long)]
    json: bool,
    /// End with exit code 2 where there is a warning
    #[arg(long)]
    deny_warnings: bool,
    /// Say nothing where there is no mistake, and of warnings only those that are denied
    #[arg(long, short)]
    quiet: bool,
}

pub fn run(args: ValidateArgs) -> anyhow::Result<ExitCode> {
    let texts = texts(&args.paths).map_err(bad_usage)?;
    let Checked { definitions: found, warnings } = definitions::check(&texts);
    if found.as_ref().is_ok_and(|found| *found == Definitions::default()) {
        let files: Vec<&str> = texts.iter().map(|(name, _)| name.as_str()).collect();
        return Err(bad_usage(anyhow!("no document in {}: nothing would be defined", files.join(", "))));
    }
    if args.json {
        print_data(json_lines(&found, &warnings))?;
    } else {
        if !args.quiet || args.deny_warnings {
            print_lines(warned(&warnings))?;
        }
        match &found {
            Ok(definitions) if !args.quiet => print_lines(summary(definitions, warnings.len()))?,
            Ok(_) => {}
            Err(mistakes) => print_lines(report(mistakes, texts.len()))?,
        }
    }
    let is_denied = args.deny_warnings && !warnings.is_empty();
    Ok(if found.is_ok() && !is_denied { ExitCode::SUCCESS } else { ExitCode::from(EXIT_USAGE) })
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
    let red = Style::new().fg_color(Some(AnsiColor::Red.into()));
    let mut lines: Vec<String> = mistakes.iter().flat_map(|mistake| entry(mistake, "", red)).collect();
    let (count, all) = (counted(mistakes.len(), "mistake"), counted(files, "file"));
    lines.push(format!("{count} in {all}; nothing of them would be used"));
    lines
}

fn warned(warnings: &[Mistake]) -> Vec<String> {
    let yellow = Style::new().fg_color(Some(AnsiColor::Yellow.into()));
    warnings.iter().flat_map(|warning| entry(warning, "warning: ", yellow)).collect()
}

fn entry(mistake: &Mistake, what: &str, style: Style) -> [String; 5] {
    let (bold, dimmed) = (Style::new().bold(), Style::new().dimmed());
    let Mistake { file, line, column, path, found, expected, remedy } = mistake;
    [
        format!("{bold}{file}:{line}:{column}{bold:#}  {what}{path}"),
        format!("  {dimmed}found{dimmed:#}     {style}{found}{style:#}"),
        format!("  {dimmed}expected{dimmed:#}  {expected}"),
        format!("  {dimmed}remedy{dimmed:#}    {remedy}"),
        String::new(),
    ]
}

fn summary(definitions: &Definitions, warnings: usize) -> Vec<String> {
    let Definitions { services, sources, slis, slos, notification_targets: _ } = definitions;
    let mut lines = Vec::new();
    for (name, sli) in slis {
        lines.push(format!("  {name}  {} of {} in {}", sli.good.name(), sli.service, sli.topic));
    }
    for (name, slo) in slos {
        let (target, indicator, window) = (slo.target.percent_text(), &slo.indicator, &slo.window);
        lines.push(format!("  {name}  {target} of {indicator} over {window}{}", alarms(slo)));
    }
    let (services, slis) = (counted(services.len(), "service"), counted(slis.len(), "SLI"));
    let (sources, slos) = (counted(sources.len(), "data source"), counted(slos.len(), "SLO"));
    let warnings = if warnings == 0 { String::new() } else { format!("; {}", counted(warnings, "warning")) };
    lines.push(format!("valid: {services}, {sources}, {slis}, {slos}{warnings}"));
    lines
}

fn alarms(slo: &Slo) -> String {
    let names = |rules: &[AlertRule]| rules.iter().map(|rule| rule.name.as_str()).collect::<Vec<_>>().join(", ");
    match slo.alerts.as_deref() {
        None => String::new(),
        Some([]) => "; no alarms".to_owned(),
        Some(rules) => format!("; alarms {}", names(rules)),
    }
}

fn json_lines(found: &Result<Definitions, Vec<Mistake>>, warnings: &[Mistake]) -> Vec<String> {
    let mistakes = found.as_ref().err().map_or(&[][..], Vec::as_slice);
    let mistakes = mistakes.iter().map(|mistake| json!({ "mistake": mistake }));
    let warned = warnings.iter().map(|warning| json!({ "warning": warning }));
    let last = match found {
        Ok(definitions) => json!({
            "valid": true,
            "services": definitions.services.len(),
            "data_sources": definitions.sources.len(),
            "slis": definitions.slis.len(),
            "slos": definitions.slos.len(),
            "notification_targets": definitions.notification_targets.len(),
            "warnings": warnings.len(),
        }),
        Err(mistakes) => json!({ "valid": false, "mistakes": mistakes.len(), "warnings": warnings.len() }),
    };
    warned.chain(mistakes).chain([last]).map(|line| line.to_string()).collect()
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
