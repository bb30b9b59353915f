//! `streamgauge`: try it, run it on files, set topics up, produce load, look at results, prove them.

use std::process::ExitCode;

fn main() -> ExitCode {
    streamgauge::cli::main()
}
