//! `streamgauge dashboard`: definitions → a dashboard of what `/metrics` of the slo stage says of them.

pub mod grafana;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::anyhow;
use clap::{Args, Subcommand};

use crate::cli::bad_usage;
use crate::definitions;
use crate::windows_text::print_data;

#[derive(Debug, Args)]
pub struct DashboardArgs {
    #[command(subcommand)]
    kind: Kind,
}

#[derive(Debug, Subcommand)]
enum Kind {
    Grafana(GrafanaArgs),
}

/// Print a Grafana dashboard of all SLOs: a row a service; of each SLO budget, burn rates, events, alarms
///
/// It asks Prometheus for what streamgauge-slo shows under /metrics. Import it in Grafana 11 or later, by hand or by provisioning:
/// it replaces what was made before. The same definitions give the same text.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  streamgauge dashboard grafana --definitions docker/definitions > slos.json
  streamgauge dashboard grafana --definitions slos.yaml --definitions slis.yaml --datasource Prometheus > slos.json

Exit codes: 0 done, 2 mistakes in the definitions, or no SLO among them.")]
struct GrafanaArgs {
    /// Definition files, or directories of them (*.yaml); may be repeated
    #[arg(long, env = "STREAMGAUGE_DEFINITIONS", value_name = "PATH", value_delimiter = ',', required = true)]
    definitions: Vec<PathBuf>,
    /// The Prometheus data source to begin with, by its name in Grafana; the default one unless given. It can be changed there
    #[arg(long, value_name = "NAME")]
    datasource: Option<String>,
}

pub fn run(args: DashboardArgs) -> anyhow::Result<ExitCode> {
    let Kind::Grafana(args) = args.kind;
    let definitions = definitions::read(&args.definitions).map_err(bad_usage)?;
    if definitions.slos.is_empty() {
        return Err(bad_usage(anyhow!("there is no SLO among the definitions, so there is nothing to show")));
    }
    print_data([grafana::dashboard(&definitions, args.datasource.as_deref())])?;
    Ok(ExitCode::SUCCESS)
}
