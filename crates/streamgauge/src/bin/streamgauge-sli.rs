//! The `sli` stage on Kafka. Everything is in `streamgauge::sli`.

use std::process::ExitCode;

use streamgauge::sli;

fn main() -> ExitCode {
    sli::main(sli::settings::Args::from_command_line())
}
