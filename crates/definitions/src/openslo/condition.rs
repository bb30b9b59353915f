//! `AlertCondition` documents: a burn rate as in OpenSLO, and two kinds of ours for what it has no word for.

use streamgauge_slo::{Fraction, Severity};

use super::alerts::spec_of;
use super::head::{CLEARS_AT, Metadata, SHORT_WINDOW};
use super::severity::severity;
use super::{PANE_US, whole_panes};
use crate::alarm::{ABSENCE, AlertCondition};
use crate::mistake::{Map, Reader, listed};
use crate::scalar::{duration_text, duration_us, whole_number};
use crate::yaml::Node;

#[derive(Clone)]
pub(super) struct Condition {
    pub description: Option<String>,
    pub severity: Severity,
    pub condition: AlertCondition,
    pub pending_us: i64,
}

pub(super) fn condition(reader: &mut Reader<'_>, map: Map<'_>, metadata: &Metadata<'_>) -> Option<Condition> {
    let mut spec = spec_of(reader, map)?;
    let description = spec.text(reader, "description", "a text").map(str::to_owned);
    let severity_path = spec.path_of("severity");
    let node = spec.need(reader, "severity", "a word such as `critical`, `P1`, `sev1` or `page`");
    let severity = node.and_then(|node| severity(reader, node, &severity_path));
    let block = spec.need_map(reader, "condition", "a block of keys");
    spec.finish(reader, &["description", "severity", "condition"]);
    let mut block = block?;
    let kind = block.take("kind");
    let before = reader.mistakes.len();
    let (condition, pending_us) = match kind.map_or(Some("burnrate"), Node::text) {
        Some("burnrate") => burn(reader, block, metadata),
        Some("remaining") => remaining(reader, block, metadata),
        Some("absence") => absence(reader, block, metadata),
        _ => {
            if let Some(node) = kind {
                let expected = format!("one of {}", listed(["burnrate", "remaining", "absence"]));
                reader.wrong(node, &block.path_of("kind"), &expected, "docs/definitions.md shows each of them.");
            }
            None
        }
    }?;
    (reader.mistakes.len() == before).then_some(Condition { description, severity: severity?, condition, pending_us })
}

type Timed = (AlertCondition, i64);

fn burn(reader: &mut Reader<'_>, mut block: Map<'_>, metadata: &Metadata<'_>) -> Option<Timed> {
    needless(reader, metadata, CLEARS_AT, "burnrate");
    operator(reader, &mut block, "gt", "It fires where the budget burns faster than that: write `gt`.");
    let threshold = block.need(reader, "threshold", "a decimal such as 14.4");
    let factor = threshold.and_then(|node| factor(reader, node, &block.path_of("threshold")));
    let window = block.need(reader, "lookbackWindow", "a duration such as 1h");
    let long_us = window.and_then(|node| whole_panes(reader, node, &block.path_of("lookbackWindow"), "Such as `1h`."));
    let pending_us = alert_after(reader, &mut block);
    block.finish(reader, &["kind", "op", "threshold", "lookbackWindow", "alertAfter"]);
    let long_us = long_us?;
    let short_us = match metadata.annotation(SHORT_WINDOW) {
        // A twelfth, by the Site Reliability Workbook, chapter 5.
        None => (long_us / 12 / PANE_US).max(1) * PANE_US,
        Some((node, path)) => {
            let short_us = whole_panes(reader, node, &path, "Such as `5m`.")?;
            if short_us > long_us {
                let expected = format!("at most the long window, {}", duration_text(long_us));
                reader.wrong(node, &path, &expected, "The short one tells that the budget still burns.");
            }
            short_us
        }
    };
    Some((AlertCondition::Burn { factor: factor?, long_us, short_us }, pending_us?))
}

/// Above 0. Its product with any target and any count stays far below 2^127.
fn factor(reader: &mut Reader<'_>, node: &Node, path: &str) -> Option<Fraction> {
    const MAX: u64 = 100_000;
    let found = node.text().and_then(|text| text.parse::<Fraction>().ok()).filter(|factor| {
        factor.numerator > 0 && factor.numerator <= MAX * factor.denominator && factor.denominator <= 10_000
    });
    if found.is_none() {
        let expected = format!("a decimal above 0 and up to {MAX}, with at most 4 places");
        reader.wrong(node, path, &expected, "14.4 spends 2% of the budget of 30 days within an hour.");
    }
    found
}

fn remaining(reader: &mut Reader<'_>, mut block: Map<'_>, metadata: &Metadata<'_>) -> Option<Timed> {
    needless(reader, metadata, SHORT_WINDOW, "remaining");
    let threshold = block.need(reader, "threshold", "a share such as 0.1");
    let below = threshold.and_then(|node| budget_share(reader, node, &block.path_of("threshold")));
    let is_exhausted = below.is_some_and(|below| below.numerator == 0);
    let (op, remedy) = match is_exhausted {
        true => ("lte", "Nothing remains where the rest is 0 or overdrawn: write `lte`."),
        false => ("lt", "It fires where less than that remains: write `lt`."),
    };
    operator(reader, &mut block, op, remedy);
    let pending_us = alert_after(reader, &mut block);
    block.finish(reader, &["kind", "op", "threshold", "alertAfter"]);
    let below = below?;
    let clears_at = match metadata.annotation(CLEARS_AT) {
        None => a_little_more(below),
        Some((node, path)) => {
            let clears_at = budget_share(reader, node, &path)?;
            if !is_above(clears_at, below) {
                let remedy = "Else the alarm would come and go with every event.";
                reader.wrong(node, &path, &format!("more than the threshold, {below}"), remedy);
            }
            clears_at
        }
    };
    Some((AlertCondition::Remaining { below, clears_at }, pending_us?))
}

/// From 0 to below 1.
fn budget_share(reader: &mut Reader<'_>, node: &Node, path: &str) -> Option<Fraction> {
    let found = node.text().and_then(|text| text.parse::<Fraction>().ok());
    let found = found.filter(|share| share.numerator < share.denominator);
    if found.is_none() {
        reader.wrong(node, path, "a share of the budget from 0 to below 1, with at most 9 places", "A tenth is 0.1.");
    }
    found
}

/// A twentieth of the budget more, at most all of it.
fn a_little_more(share: Fraction) -> Fraction {
    let Fraction { numerator, denominator } = share;
    let places = denominator.max(100);
    let sum = numerator * (places / denominator) + places / 20;
    Fraction::new(sum.min(places), places)
}

fn is_above(one: Fraction, other: Fraction) -> bool {
    u128::from(one.numerator) * u128::from(other.denominator)
        > u128::from(other.numerator) * u128::from(one.denominator)
}

fn absence(reader: &mut Reader<'_>, mut block: Map<'_>, metadata: &Metadata<'_>) -> Option<Timed> {
    needless(reader, metadata, CLEARS_AT, "absence");
    needless(reader, metadata, SHORT_WINDOW, "absence");
    let AlertCondition::Absence { silent_us, within_us } = ABSENCE else { return None };
    let mut window = |key: &str, default_us: i64| match block.take(key) {
        None => Some(default_us),
        Some(node) => {
            whole_panes(reader, node, &block.path_of(key), "Such as `1m`; without it a minute, within a day.")
        }
    };
    let (within_us, silent_us) = (window("lookbackWindow", within_us), window("alertAfter", silent_us));
    let place = block.place();
    let path = block.path_of("alertAfter");
    block.finish(reader, &["kind", "lookbackWindow", "alertAfter"]);
    let (within_us, silent_us) = (within_us?, silent_us?);
    if silent_us >= within_us {
        let found = format!("a silence of {}", duration_text(silent_us));
        let expected = format!("less than the time in which there was traffic, {}", duration_text(within_us));
        reader.mistake(place, &path, &found, &expected, "Shorten `alertAfter`, or lengthen `lookbackWindow`.");
    }
    Some((AlertCondition::Absence { silent_us, within_us }, 0))
}

fn operator(reader: &mut Reader<'_>, block: &mut Map<'_>, op: &str, remedy: &str) {
    let node = block.need(reader, "op", &format!("`{op}`"));
    if let Some(node) = node.filter(|node| node.text() != Some(op)) {
        reader.wrong(node, &block.path_of("op"), &format!("`{op}`"), remedy);
    }
}

/// For how long the condition has to hold; OpenSLO writes `0m` for not at all.
fn alert_after(reader: &mut Reader<'_>, block: &mut Map<'_>) -> Option<i64> {
    let Some(node) = block.take("alertAfter") else { return Some(0) };
    let text = node.text().unwrap_or_default();
    if text.strip_suffix(['s', 'm', 'h', 'd', 'w']).and_then(whole_number) == Some(0) {
        return Some(0);
    }
    let found = duration_us(text).ok();
    if found.is_none() {
        let remedy = "Such as `5m`; a part of a pane counts as a whole one.";
        reader.wrong(node, &block.path_of("alertAfter"), "a duration, or 0m", remedy);
    }
    found
}

fn needless(reader: &mut Reader<'_>, metadata: &Metadata<'_>, annotation: &str, kind: &str) {
    if let Some((node, path)) = metadata.annotation(annotation) {
        let expected = format!("no such annotation beside `kind: {kind}`");
        reader.wrong(node, &path, &expected, "Remove it: it would decide nothing.");
    }
}
