//! `streamgauge-slo`: the stage that keeps budgets and raises alarms, on Kafka.

pub mod figures;
pub mod settings;

use std::process::ExitCode;

use streamgauge_stage_slo::SloStage;
use tracing::info;

use crate::serve::{self, Board, Failure};
use crate::shell::Stop;
use settings::{Loaded, SloSettings};

pub fn main(args: (settings::Args, clap::ArgMatches)) -> ExitCode {
    let loaded = match Loaded::from(args) {
        Ok(loaded) => loaded,
        Err(error) => return serve::misconfigured("streamgauge-slo", &error),
    };
    if loaded.print_config {
        anstream::println!("{}", loaded.describe());
        return ExitCode::SUCCESS;
    }
    let settings = &loaded.settings;
    serve::end(serve::start_logs(settings.log_format, &settings.log_level).and_then(|()| run(settings)))
}

fn run(settings: &SloSettings) -> Result<(), Failure> {
    let bundle = settings.bundle().map_err(Failure::Configuration)?;
    let serving = settings.serving();
    let stop = Stop::on_signals().map_err(Failure::Other)?;
    let board = Board::new(settings.workers as usize);
    let stage = || {
        let stage = SloStage::new(&bundle, &settings.requests).map_err(|halt| Failure::Exit(halt.into()))?;
        Ok(stage.reading(&settings.input).accepting_holes(settings.accept_hole))
    };
    let stages = (0..settings.workers).map(|_| stage()).collect::<Result<Vec<SloStage>, Failure>>()?;
    info!(slos = bundle.definitions.slos.len(), facts = settings.input, "following objectives");
    serve::run(&serving, stages, &board, &stop, &|index, worker| {
        let partitions = worker.partitions().map(|partition| partition.objectives());
        board.publish_own(index, figures::families(partitions));
    })
}
