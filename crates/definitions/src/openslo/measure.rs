//! How an SLI judges: single events, or slices of time.

use std::collections::BTreeSet;

use streamgauge_events::Kind;

use super::PANE_US;
use super::sli::predicate;
use crate::mistake::{Map, Reader, listed};
use crate::model::{Aggregate, Bounds, Empty, Failures, Measure, Rule, Slice};
use crate::scalar::{duration_text, duration_us, millionths, share, whole_number};
use crate::yaml::{Content, Node};

const THRESHOLDS_MAX: usize = 16;

pub(super) fn event_measure(reader: &mut Reader<'_>, spec: &mut Map<'_>, kind: Option<Kind>) -> Option<Measure> {
    let path = spec.path.clone();
    let good = spec.take("good");
    let threshold = spec.take("latencyThresholdUs");
    let failures_node = spec.take("failures");
    let more_node = spec.take("thresholdsUs");
    let (good_count, total_count) = (spec.take("goodCount"), spec.take("totalCount"));
    let counts = good_count.is_some() || total_count.is_some();
    match (good, threshold, counts) {
        (Some(node), None, false) => {
            for (key, node) in [("failures", failures_node), ("thresholdsUs", more_node)] {
                if let Some(node) = node {
                    let remedy = "Say in `good` what a failure is, or use `latencyThresholdUs`.";
                    reader.wrong(node, &format!("{path}.{key}"), "no such key beside `good`", remedy);
                }
            }
            predicate(reader, node, &format!("{path}.good"), kind).map(Measure::When)
        }
        (None, Some(node), false) => {
            only_of(reader, node, &format!("{path}.latencyThresholdUs"), kind, Kind::Request, "a latency");
            let threshold_us = micros(reader, node, &format!("{path}.latencyThresholdUs"));
            let failures = failures_node.map_or(Some(Failures::Bad), |node| match node.text() {
                Some("bad") => Some(Failures::Bad),
                Some("exclude") => Some(Failures::Exclude),
                _ => {
                    let remedy = "Failed requests count as bad, or don't count.";
                    reader.wrong(node, &format!("{path}.failures"), "`bad` or `exclude`", remedy);
                    None
                }
            });
            let thresholds_us = more_node.map_or(Some(Vec::new()), |node| thresholds(reader, node, &path));
            Some(Measure::Latency { threshold_us: threshold_us?, failures: failures?, thresholds_us: thresholds_us? })
        }
        (None, None, true) => {
            let place = spec.place();
            let mut fits = true;
            for (key, node) in [("failures", failures_node), ("thresholdsUs", more_node)] {
                if let Some(node) = node {
                    let remedy = "Remove it: counts say what was good.";
                    reader.wrong(node, &format!("{path}.{key}"), "no such key beside `goodCount`", remedy);
                }
            }
            for (key, node, expected) in [("goodCount", good_count, "good"), ("totalCount", total_count, "total")] {
                let path = format!("{path}.{key}");
                match node {
                    None => {
                        reader.mistake(
                            place,
                            &path,
                            "no such key",
                            &format!("`{expected}`"),
                            &format!("Add `{key}: {expected}`."),
                        );
                        fits = false;
                    }
                    Some(node) if node.text() != Some(expected) => {
                        let remedy = "Scores carry these two counts.";
                        reader.wrong(node, &path, &format!("`{expected}`"), remedy);
                        fits = false;
                    }
                    Some(node) => fits &= only_of(reader, node, &path, kind, Kind::Score, "counts"),
                }
            }
            fits.then_some(Measure::Counts)
        }
        _ => {
            let remedy = "A predicate decides (`good`), a latency (`latencyThresholdUs`), or counts in the event \
                (`goodCount` and `totalCount`).";
            let several = good.is_some() || threshold.is_some() || counts;
            let found = if several { "several ways to judge an event" } else { "no way to judge an event" };
            reader.mistake(spec.place(), &path, found, "one of them", remedy);
            None
        }
    }
}

fn only_of(reader: &mut Reader<'_>, node: &Node, path: &str, kind: Option<Kind>, needed: Kind, what: &str) -> bool {
    let fits = kind.is_none_or(|kind| kind == needed);
    if !fits {
        let found = kind.map_or("", Kind::as_str);
        let expected =
            format!("a topic of {needed} events, since only those have {what}; this one holds {found} events");
        reader.wrong(node, path, &expected, "Measure another topic, or judge in another way.");
    }
    fits
}

fn micros(reader: &mut Reader<'_>, node: &Node, path: &str) -> Option<u64> {
    let max = streamgauge_events::event::LATENCY_US_MAX as u64;
    let value = node.text().and_then(whole_number).filter(|us| (1..=max).contains(us));
    if value.is_none() {
        let expected = format!("a whole number of microseconds from 1 to {max}");
        let remedy = match node.text().and_then(|text| Some((text, us_of(text)?))) {
            Some((text, us)) if (1..=max).contains(&us) => format!("{text} are {us}."),
            _ => "300 ms are 300000.".to_owned(),
        };
        reader.wrong(node, path, &expected, &remedy);
    }
    value
}

/// What was meant by a number with a unit, such as `0.5s`.
fn us_of(text: &str) -> Option<u64> {
    let unit_at = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at(unit_at);
    let unit_us: i64 = match unit {
        "us" => 1,
        "ms" => 1_000,
        "s" => 1_000_000,
        "m" => 60_000_000,
        "h" => 3_600_000_000,
        _ => return None,
    };
    let scaled = millionths(number.trim_end())?.checked_mul(unit_us)?;
    (scaled % 1_000_000 == 0).then(|| u64::try_from(scaled / 1_000_000).ok())?
}

fn thresholds(reader: &mut Reader<'_>, node: &Node, path: &str) -> Option<Vec<u64>> {
    let path = format!("{path}.thresholdsUs");
    let Content::List(items) = &node.content else {
        reader.wrong(node, &path, "a list of microseconds", "Such as `[100000, 300000]`.");
        return None;
    };
    if items.len() > THRESHOLDS_MAX {
        reader.wrong(
            node,
            &path,
            &format!("at most {THRESHOLDS_MAX}"),
            "Other thresholds are answered by the histogram.",
        );
        return None;
    }
    let values: Vec<Option<u64>> =
        items.iter().enumerate().map(|(index, item)| micros(reader, item, &format!("{path}[{index}]"))).collect();
    let values: Option<BTreeSet<u64>> = values.into_iter().collect();
    Some(values?.into_iter().collect())
}

// ---- slices

const RULES: [&str; 5] = ["percentile", "mean", "traffic", "saturation", "freshness"];

pub(super) fn slice_measure(reader: &mut Reader<'_>, spec: &mut Map<'_>, kind: Option<Kind>) -> Option<Measure> {
    let path = spec.path.clone();
    let length = spec.need(reader, "slice", "a duration such as 5m");
    let length_us = length.and_then(|node| {
        let us = duration(reader, node, &format!("{path}.slice"))?;
        if us % PANE_US != 0 {
            let next = duration_text((us / PANE_US + 1) * PANE_US);
            let expected = format!("a multiple of the pane, which is {}", duration_text(PANE_US));
            reader.wrong(node, &format!("{path}.slice"), &expected, &format!("The next longer one is {next}."));
            return None;
        }
        Some(us)
    });
    let empty_node = spec.take("empty");
    let empty = empty_node.map_or(Some(Empty::Ignore), |node| match node.text() {
        Some("ignore") => Some(Empty::Ignore),
        Some("good") => Some(Empty::Good),
        Some("bad") => Some(Empty::Bad),
        _ => {
            let remedy = "A slice without events does not count, is good, or is bad.";
            reader.wrong(node, &format!("{path}.empty"), "`ignore`, `good` or `bad`", remedy);
            None
        }
    });
    let found: Vec<(&str, &Node)> = RULES.iter().filter_map(|name| Some((*name, spec.take(name)?))).collect();
    let [(name, node)] = found[..] else {
        let expected = format!("one of {}", listed(RULES));
        let what = if found.is_empty() { "no way to judge a slice" } else { "several ways to judge a slice" };
        reader.mistake(spec.place(), &path, what, &expected, "docs/definitions.md has an example of each.");
        return None;
    };
    if let Some(node) = empty_node.filter(|_| name == "traffic") {
        let remedy = "Remove it: a slice without events has a rate of 0 per second, and the bounds judge that.";
        reader.wrong(node, &format!("{path}.empty"), "no such key beside `traffic`", remedy);
    }
    let rule = rule(reader, name, node, &format!("{path}.{name}"), kind);
    Some(Measure::Slice { slice: Slice { length_us: length_us?, empty: empty? }, rule: rule? })
}

fn rule(reader: &mut Reader<'_>, name: &str, node: &Node, path: &str, kind: Option<Kind>) -> Option<Rule> {
    let mut map = Map::of(reader, node, path)?;
    match name {
        "percentile" => {
            only_of(reader, node, path, kind, Kind::Request, "a latency");
            let quantile = map.need(reader, "quantile", "a decimal such as 0.99").and_then(|node| {
                let quantile = node.text().and_then(share);
                if quantile.is_none() {
                    let expected = "a decimal above 0 and up to 1, with at most 9 places";
                    reader.wrong(node, &format!("{path}.quantile"), expected, "The 99th percentile is 0.99.");
                }
                quantile
            });
            let at_most = map.need(reader, "atMostUs", "microseconds");
            let at_most_us = at_most.and_then(|node| micros(reader, node, &format!("{path}.atMostUs")));
            map.finish(reader, &["quantile", "atMostUs"]);
            Some(Rule::Percentile { quantile: quantile?, at_most_us: at_most_us? })
        }
        "mean" => {
            valued(reader, node, path, kind);
            let bounds = bounds(reader, &mut map, "atLeast", "atMost");
            map.finish(reader, &["atLeast", "atMost"]);
            bounds.map(Rule::Mean)
        }
        "traffic" => {
            let bounds = bounds(reader, &mut map, "atLeastPerSec", "atMostPerSec");
            map.finish(reader, &["atLeastPerSec", "atMostPerSec"]);
            bounds.map(Rule::Traffic)
        }
        "saturation" => {
            only_of(reader, node, path, kind, Kind::Resource, "samples of a resource");
            let aggregate = map.take("aggregate").map_or(Some(Aggregate::Mean), |node| {
                let text = node.text().unwrap_or_default();
                let quantile = || {
                    let percent = text.strip_prefix('p').filter(|digits| (1..=2).contains(&digits.len()))?;
                    let percent = whole_number(percent).filter(|percent| *percent > 0)?;
                    Some(Aggregate::Quantile(crate::model::Share { numerator: percent, denominator: 100 }))
                };
                let aggregate = match text {
                    "mean" => Some(Aggregate::Mean),
                    "min" => Some(Aggregate::Min),
                    "max" => Some(Aggregate::Max),
                    "last" => Some(Aggregate::Last),
                    _ => quantile(),
                };
                if aggregate.is_none() {
                    let expected = "`mean`, `min`, `max`, `last`, or a percentile such as `p95`";
                    reader.wrong(node, &format!("{path}.aggregate"), expected, "`mean` is the default.");
                }
                aggregate
            });
            let bounds = bounds(reader, &mut map, "atLeast", "atMost");
            map.finish(reader, &["aggregate", "atLeast", "atMost"]);
            Some(Rule::Saturation { aggregate: aggregate?, bounds: bounds? })
        }
        _ => {
            let at_most = map.need(reader, "atMost", "a duration such as 10m");
            let at_most_us = at_most.and_then(|node| duration(reader, node, &format!("{path}.atMost")));
            map.finish(reader, &["atMost"]);
            Some(Rule::Freshness { at_most_us: at_most_us? })
        }
    }
}

/// Requests carry no value to take the mean of.
fn valued(reader: &mut Reader<'_>, node: &Node, path: &str, kind: Option<Kind>) {
    if kind == Some(Kind::Request) {
        let expected = "a topic of score or resource events, since only those have a value";
        reader.wrong(node, path, expected, "Measure another topic, or judge latency by `percentile`.");
    }
}

fn duration(reader: &mut Reader<'_>, node: &Node, path: &str) -> Option<i64> {
    let found = duration_us(node.text().unwrap_or_default());
    if found.is_err() {
        let remedy = "Write a whole number and a unit: 10s, 5m, 1h, 1d.";
        reader.wrong(node, path, "a duration from 1ms to 3660d", remedy);
    }
    found.ok()
}

fn bounds(reader: &mut Reader<'_>, map: &mut Map<'_>, least: &str, most: &str) -> Option<Bounds> {
    let mut decimal = |key: &str| {
        let Some(node) = map.take(key) else { return Some(None) };
        let value = node.text().and_then(millionths);
        if value.is_none() {
            let expected = "a decimal with at most 6 places, from -35184372 to 35184372";
            reader.wrong(node, &map.path_of(key), expected, "Such as 0.85; use a larger unit for larger numbers.");
        }
        value.map(Some)
    };
    let (at_least, at_most) = (decimal(least), decimal(most));
    let (at_least, at_most) = (at_least?, at_most?);
    let place = map.place();
    match (at_least, at_most) {
        // A bound by a wrong name is told as such, and once.
        (None, None) if map.holds_one_like(&[least, most]) => None,
        (None, None) => {
            let remedy = format!("Add `{least}:`, `{most}:` or both.");
            reader.mistake(place, &map.path, &format!("neither `{least}` nor `{most}`"), "a bound", &remedy);
            None
        }
        (Some(at_least), Some(at_most)) if at_least > at_most => {
            let found = format!("`{least}` above `{most}`");
            reader.mistake(place, &map.path, &found, "a range that holds something", "Exchange them.");
            None
        }
        _ => Some(Bounds { at_least, at_most }),
    }
}
