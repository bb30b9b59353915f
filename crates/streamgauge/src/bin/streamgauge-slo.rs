//! The `slo` stage on Kafka. Everything is in `streamgauge::slo`.

use std::process::ExitCode;

use streamgauge::slo;

fn main() -> ExitCode {
    slo::main(slo::settings::Args::from_command_line())
}
