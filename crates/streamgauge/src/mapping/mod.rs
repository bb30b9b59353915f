//! `streamgauge mapping`: from a file that nobody has described to a mapping that somebody trusts.

mod infer;
mod test;

use std::process::ExitCode;

use clap::{Args, Subcommand};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  streamgauge mapping infer access.log.gz --out mapping.yaml
  streamgauge mapping test --mapping mapping.yaml access.log.gz --failed

docs/mappings.md explains the format; examples/mappings/ has mappings for public data.")]
pub struct MappingArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    Infer(infer::InferArgs),
    Test(test::TestArgs),
}

pub fn run(args: MappingArgs) -> anyhow::Result<ExitCode> {
    match args.action {
        Action::Infer(args) => infer::run(args),
        Action::Test(args) => test::run(args),
    }
}
