//! `streamgauge-sli`: the stage that counts, on Kafka.

pub mod settings;

use std::process::ExitCode;

use streamgauge_kafka::TopicAdmin;
use streamgauge_stage::Stage as _;
use streamgauge_stage_sli::SliStage;
use tracing::{debug, warn};

use crate::serve::{self, Board, Failure};
use crate::shell::Stop;
use settings::{Loaded, SliSettings};

pub fn main(args: (settings::Args, clap::ArgMatches)) -> ExitCode {
    let loaded = match Loaded::from(args) {
        Ok(loaded) => loaded,
        Err(error) => return serve::misconfigured("streamgauge-sli", &error),
    };
    if loaded.print_config {
        anstream::println!("{}", loaded.describe());
        return ExitCode::SUCCESS;
    }
    let settings = &loaded.settings;
    serve::end(serve::start_logs(settings.log_format, &settings.log_level).and_then(|()| run(settings)))
}

fn run(settings: &SliSettings) -> Result<(), Failure> {
    let bundle = settings.bundle().map_err(Failure::Configuration)?;
    let serving = settings.serving();
    let stop = Stop::on_signals().map_err(Failure::Other)?;
    let board = Board::new(settings.workers as usize);
    let mut stages = Vec::new();
    for _ in 0..settings.workers {
        let stage =
            SliStage::new(&settings.input, settings.time, &bundle).and_then(|stage| match settings.input.as_str() {
                "off" => stage.without_requests(),
                _ => Ok(stage),
            });
        stages.push(stage.map_err(|halt| Failure::Exit(halt.into()))?);
    }
    if let Some(stage) = stages.first() {
        warn_of_foreign_clocks(settings, stage.inputs());
    }
    serve::run(&serving, stages, &board, &stop, &|_, _| {})
}

/// Best effort: a cluster that can't be asked now is met again, with patience, by the workers.
fn warn_of_foreign_clocks(settings: &SliSettings, inputs: &[String]) {
    for input in inputs {
        let admin = TopicAdmin::open(&settings.serving().kafka(0).client, "");
        match admin.and_then(|admin| admin.timestamp_warning(input)) {
            Ok(Some(warning)) => warn!("{warning}"),
            Ok(None) => {}
            Err(error) => debug!(%error, input, "couldn't look up the timestamp type of an input topic"),
        }
    }
}
