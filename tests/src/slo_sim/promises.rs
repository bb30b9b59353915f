//! The definitions that processes are started with, one after another.

use streamgauge_definitions::{Bundle, Definitions, Measure, Rule};
use streamgauge_events::topics;

use super::support::promises::{definitions, rolling, share};

/// How many there are.
pub const BUNDLES: usize = 5;

pub fn bundle_of(number: usize) -> Bundle {
    Bundle { definitions: definitions_of(number), ..Bundle::default() }
}

pub fn definitions_of(number: usize) -> Definitions {
    let mut all = definitions(None);
    match number {
        0 => {}
        // Targets, a window, and the way in which slices are judged are others; one objective is gone.
        1 => {
            let mut change = |name: &str, change: &dyn Fn(&mut streamgauge_definitions::Slo)| {
                change(all.slos.get_mut(name).expect("it is defined"));
            };
            change("answers-day", &|slo| slo.target = share(99, 100));
            change("answers-slices", &|slo| slo.target = share(5, 10));
            change("audits-day", &|slo| slo.window = rolling(3 * 3_600_000_000));
            all.slos.remove("answers-hour");
            let fresh = all.slis.get_mut("fresh").expect("it is defined");
            if let Measure::Slice { rule: Rule::Freshness { at_most_us }, .. } = &mut fresh.good {
                *at_most_us = 20_000_000;
            }
        }
        // Nobody asks for requests any more.
        2 => {
            let of_scores: Vec<&str> = vec!["audits-day", "tone-hour", "load-day"];
            all = definitions(Some(&of_scores));
            all.slos.get_mut("load-day").expect("it is defined").target = share(8, 10);
        }
        3 => {
            let few: Vec<&str> = vec!["answers-hour", "answers-ratio", "fresh-hour", "tone-hour"];
            all = definitions(Some(&few));
        }
        _ => all.slos.clear(),
    }
    all
}

/// Names of the topics that facts tell of.
pub const SOURCES: [&str; 2] = [topics::REQUESTS, topics::SCORES];
