//! What is being simulated: the worker's log and stage, as they are or deliberately broken.

use std::collections::BTreeMap;

use streamgauge_definitions::{Bundle, BundleSettings, Definitions, SeriesKey};
use streamgauge_definitions::{Failures, Measure, Service, Sli};
use streamgauge_events::topics;
use streamgauge_memory_log::{Broker, MemoryLog};
use streamgauge_stage::{Log, Stage};
use streamgauge_stage_sli::SliStage;

use super::schedule::Schedule;

/// Number of different sets of definitions that processes are started with.
pub const BUNDLES: usize = 3;

/// A worker is made of these two.
pub trait Subject {
    type Log: Log;
    type Stage: Stage;
    fn log(&self, log: MemoryLog, broker: &Broker) -> Self::Log;
    fn stage(&self, stage: SliStage) -> Self::Stage;
}

/// The real thing.
pub struct Sound;

impl Subject for Sound {
    type Log = MemoryLog;
    type Stage = SliStage;

    fn log(&self, log: MemoryLog, _broker: &Broker) -> MemoryLog {
        log
    }

    fn stage(&self, stage: SliStage) -> SliStage {
        stage
    }
}

pub fn stage(schedule: &Schedule, bundle: usize) -> SliStage {
    SliStage::new(topics::REQUESTS, schedule.time, &bundle_of(schedule, bundle)).expect("these definitions are valid")
}

/// Nothing defined; two SLIs of one service; one of them changed, and a second service. `oracle::judge` states the same
/// definitions in its own words.
pub fn bundle_of(schedule: &Schedule, bundle: usize) -> Bundle {
    let settings = BundleSettings { series_max: schedule.series_max, series_key: SeriesKey::default() };
    let sli = |filter: Option<&str>, good| Sli {
        service: "checkout".into(),
        topic: topics::REQUESTS.into(),
        filter: filter.map(Into::into),
        group_by: BTreeMap::new(),
        good,
    };
    let slis = match bundle {
        0 => vec![],
        1 => vec![
            ("available", sli(None, Measure::When("status < 500".into()))),
            (
                "fast",
                sli(None, Measure::Latency { threshold_us: 300_000, failures: Failures::Bad, thresholds_us: vec![] }),
            ),
        ],
        _ => vec![
            ("available", sli(Some("route == '/a'"), Measure::When("status < 500".into()))),
            (
                "fast",
                sli(
                    None,
                    Measure::Latency { threshold_us: 250_000, failures: Failures::Exclude, thresholds_us: vec![] },
                ),
            ),
        ],
    };
    let services: &[&str] = [&[][..], &["checkout"], &["checkout", "cart"]][bundle];
    let services: BTreeMap<String, Service> =
        services.iter().map(|&name| (name.to_owned(), Service::default())).collect();
    let slis = slis.into_iter().map(|(name, sli)| (name.to_owned(), sli)).collect();
    Bundle { settings, definitions: Definitions { services, sources: BTreeMap::new(), slis } }
}
