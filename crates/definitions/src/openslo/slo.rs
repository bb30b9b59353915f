//! `SLO` documents: how good an SLI is promised to be, over which time, and how bad ones spend the budget.

use super::alerts::{Alerts, policies};
use super::warnings::{Places, warn};
use super::window::time_window;
use super::{Known, only, reference, whole_panes};
use crate::alarm::{AlertCondition, AlertRule};
use crate::mistake::{Map, Reader, listed};
use crate::model::{Empty, Measure, Rule, Share, Sli};
use crate::objective::{Budgeting, Slo, TimeWindow};
use crate::scalar::{duration_text, share, whole_number};
use crate::yaml::{Node, Place};

/// The offsets of all time zones are multiples of this.
const QUARTER_HOUR_US: i64 = 900_000_000;
const MINUTE_US: i64 = 60_000_000;
const METHODS: [&str; 3] = ["Occurrences", "Timeslices", "RatioTimeslices"];

pub(super) fn slo(reader: &mut Reader<'_>, mut map: Map<'_>, alerts: &mut Alerts, known: &Known<'_>) -> Option<Slo> {
    let mut spec = map.need_map(reader, "spec", "a block of keys")?;
    map.finish(reader, &["apiVersion", "kind", "metadata", "spec"]);
    let description = spec.text(reader, "description", "a text").map(str::to_owned);
    let service = spec.need(reader, "service", "the name of a service");
    let indicator_node = spec.need(reader, "indicatorRef", "the name of an SLI");
    let indicator = indicator_node.and_then(|node| indicator_of(reader, node, known));
    let window = spec.need(reader, "timeWindow", "a list with one time window");
    let window = window.and_then(|node| {
        let map = one_of(reader, node, "spec.timeWindow")?;
        time_window(reader, map)
    });
    let method = method_of(reader, &mut spec);
    let objective = spec.need(reader, "objectives", "a list with one objective");
    let objective = objective.and_then(|node| {
        let map = one_of(reader, node, "spec.objectives")?;
        Some((node.place, objective_of(reader, map, method?)?))
    });
    let rules = spec.take("alertPolicies").map(|node| policies(reader, node, alerts, known));
    spec.finish(reader, &KEYS);
    let is_of_its_sli = service.map(|node| service_fits(reader, node, indicator, known));
    let (name, sli) = indicator?;
    let window = window?;
    let (place, (target, budgeting)) = objective?;
    let mut fits = slices_fit(reader, place, sli, budgeting) & width_fits(reader, place, budgeting, &window);
    let rules = match rules {
        None => None,
        Some(rules) => Some(rules?),
    };
    for (index, (place, rule)) in rules.iter().flatten().enumerate() {
        fits &= rule_fits(reader, *place, index, rule, sli, &window);
    }
    if !(fits && is_of_its_sli?) {
        return None;
    }
    let policies = rules.iter().flatten().map(|(place, _)| *place).collect();
    let slo = Slo {
        display_name: None,
        description,
        service: sli.service.clone(),
        indicator: name.clone(),
        target,
        budgeting,
        window,
        alerts: rules.map(|rules| rules.into_iter().map(|(_, rule)| rule).collect()),
    };
    let places = Places { indicator: indicator_node?.place, objective: place, policies };
    warn(reader, known.definitions, &slo, &places);
    Some(slo)
}

const KEYS: [&str; 7] =
    ["description", "service", "indicatorRef", "timeWindow", "budgetingMethod", "objectives", "alertPolicies"];

/// More than one has no meaning yet that anybody agrees on.
fn one_of<'n>(reader: &mut Reader<'_>, node: &'n Node, path: &str) -> Option<Map<'n>> {
    let item = only(reader, node, path, "Write an SLO of its own for each.")?;
    Map::of(reader, item, &format!("{path}[0]"))
}

fn indicator_of<'k>(reader: &mut Reader<'_>, node: &Node, known: &Known<'k>) -> Option<(&'k String, &'k Sli)> {
    let declared: Vec<&str> = known.definitions.slis.keys().map(String::as_str).collect();
    let name = reference(reader, node, "spec.indicatorRef", "SLI", &declared, known)?;
    known.definitions.slis.get_key_value(name)
}

fn method_of<'n>(reader: &mut Reader<'_>, spec: &mut Map<'n>) -> Option<&'n str> {
    let expected = format!("one of {}", listed(METHODS));
    let node = spec.need(reader, "budgetingMethod", &expected)?;
    let method = node.text().filter(|text| METHODS.contains(text));
    if method.is_none() {
        let remedy = "Events count alike by `Occurrences`, slices of time by the others.";
        reader.wrong(node, "spec.budgetingMethod", &expected, remedy);
    }
    method
}

fn service_fits(reader: &mut Reader<'_>, node: &Node, sli: Option<(&String, &Sli)>, known: &Known<'_>) -> bool {
    let Some((name, sli)) = sli else {
        let declared: Vec<&str> = known.definitions.services.keys().map(String::as_str).collect();
        return reference(reader, node, "spec.service", "Service", &declared, known).is_some();
    };
    let fits = node.text() == Some(&sli.service);
    if !fits {
        let expected = format!("`{}`, the service of the SLI `{name}`", sli.service);
        reader.wrong(node, "spec.service", &expected, "An objective is about the service that its SLI measures.");
    }
    fits
}

fn objective_of(reader: &mut Reader<'_>, mut map: Map<'_>, method: &str) -> Option<(Share, Budgeting)> {
    let path = map.path.clone();
    map.text(reader, "displayName", "a text");
    let (target, percent) = (map.take("target"), map.take("targetPercent"));
    let (slice_target, width) = (map.take("timeSliceTarget"), map.take("timeSliceWindow"));
    let place = map.place();
    map.finish(reader, &["displayName", "target", "targetPercent", "timeSliceTarget", "timeSliceWindow"]);
    let target = match (target, percent) {
        (Some(node), None) => promised(reader, node, &format!("{path}.target"), Scale::Share),
        (None, Some(node)) => promised(reader, node, &format!("{path}.targetPercent"), Scale::Percent),
        (target, _) => {
            let found = super::neither_or_both(target.is_some(), "`target`", "`targetPercent`");
            reader.mistake(place, &path, &found, "one of them", "Write `target: 0.999` or `targetPercent: 99.9`.");
            None
        }
    };
    let mut needless = |node: Option<&Node>, key: &str| {
        if let Some(node) = node {
            let expected = format!("no such key beside `budgetingMethod: {method}`");
            reader.wrong(node, &format!("{path}.{key}"), &expected, "Remove it: it would decide nothing.");
        }
        node.is_none()
    };
    let budgeting = match method {
        "Occurrences" => {
            let fits = needless(slice_target, "timeSliceTarget") & needless(width, "timeSliceWindow");
            fits.then_some(Budgeting::Occurrences)
        }
        "RatioTimeslices" => {
            let fits = needless(slice_target, "timeSliceTarget");
            let width_us = slice_width(reader, width, place, &path);
            width_us.filter(|_| fits).map(|width_us| Budgeting::RatioTimeslices { width_us })
        }
        _ => {
            let target = match slice_target {
                Some(node) => slice_promise(reader, node, &format!("{path}.timeSliceTarget")),
                None => {
                    let path = format!("{path}.timeSliceTarget");
                    let remedy = "Add it: the share of good events from which on a slice is good.";
                    reader.mistake(place, &path, "no such key", "a decimal such as 0.95", remedy);
                    None
                }
            };
            let width_us = slice_width(reader, width, place, &path);
            Some(Budgeting::Timeslices { target: target?, width_us: width_us? })
        }
    };
    Some((target?, budgeting?))
}

#[derive(Clone, Copy, PartialEq)]
enum Scale {
    Share,
    Percent,
}

/// Between 0 and 1, both excluded: a promise of 1 has no budget.
fn promised(reader: &mut Reader<'_>, node: &Node, path: &str, scale: Scale) -> Option<Share> {
    let text = node.text().unwrap_or_default();
    let found = match scale {
        Scale::Share => share(text),
        Scale::Percent => percent(text),
    };
    if let Some(found) = found.filter(|found| found.numerator < found.denominator) {
        return Some(found);
    }
    let is_whole = found.is_some();
    let (expected, remedy) = match scale {
        _ if is_whole => {
            ("a promise below 1", "Nothing is always good: with no budget every error is a breach.".to_owned())
        }
        Scale::Share => {
            let meant = percent(text).map(|_| format!("{text} percent is `targetPercent: {text}`."));
            let remedy = meant.unwrap_or_else(|| "99.9 percent is 0.999.".to_owned());
            ("a decimal between 0 and 1, with at most 9 places", remedy)
        }
        Scale::Percent => ("a decimal between 0 and 100, with at most 7 places", "Such as `99.9`.".to_owned()),
    };
    reader.wrong(node, path, expected, &remedy);
    None
}

/// A share in percent.
fn percent(text: &str) -> Option<Share> {
    let (whole, places) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(places) || whole.len() > 3 || places.len() > 7 {
        return None;
    }
    let numerator: u64 = format!("{whole}{places}").parse().ok()?;
    let denominator = 100 * 10_u64.pow(places.len() as u32);
    (numerator > 0 && numerator <= denominator).then_some(Share { numerator, denominator })
}

/// Above 0 and up to 1: slices may be asked to be perfect.
fn slice_promise(reader: &mut Reader<'_>, node: &Node, path: &str) -> Option<Share> {
    let found = node.text().and_then(share);
    if found.is_none() {
        reader.wrong(node, path, "a decimal above 0 and up to 1, with at most 9 places", "95 percent is 0.95.");
    }
    found
}

fn slice_width(reader: &mut Reader<'_>, node: Option<&Node>, place: Place, path: &str) -> Option<i64> {
    let path = format!("{path}.timeSliceWindow");
    let Some(node) = node else {
        reader.mistake(place, &path, "no such key", "a duration such as 5m", "Add it: how long a slice is.");
        return None;
    };
    // By OpenSLO, a number alone counts minutes.
    if let Some(minutes) = node.text().and_then(whole_number).filter(|minutes| (1..=1440).contains(minutes)) {
        return Some(minutes as i64 * MINUTE_US);
    }
    whole_panes(reader, node, &path, "Such as `1m` or `5m`.")
}

/// An SLI that judges slices has decided what a slice is.
fn slices_fit(reader: &mut Reader<'_>, place: Place, sli: &Sli, budgeting: Budgeting) -> bool {
    let (Some(slice), Some(width_us)) = (sli.good.slice(), budgeting.width_us()) else { return true };
    let fits = matches!(budgeting, Budgeting::Timeslices { .. }) && width_us == slice.length_us;
    if !fits {
        let found = format!("slices of {} over an SLI that judges slices", duration_text(width_us));
        let length = duration_text(slice.length_us);
        let expected = format!("`Occurrences`, by which each of them counts, or `Timeslices` with slices of {length}");
        reader.mistake(place, "spec.objectives[0]", &found, &expected, "Its slices are good or bad already.");
    }
    fits
}

fn width_fits(reader: &mut Reader<'_>, place: Place, budgeting: Budgeting, window: &TimeWindow) -> bool {
    let Some(width_us) = budgeting.width_us() else { return true };
    let (whole_us, whole) = match window {
        TimeWindow::Rolling { length_us } => (*length_us, "the time window"),
        TimeWindow::Calendar { .. } => (QUARTER_HOUR_US, "15m, since the offsets of time zones are multiples of that"),
    };
    let fits = whole_us % width_us == 0;
    if !fits {
        let found = format!("slices of {}", duration_text(width_us));
        reader.mistake(
            place,
            "spec.objectives[0].timeSliceWindow",
            &found,
            &format!("a divisor of {whole}"),
            "Such as `5m`.",
        );
    }
    fits
}

/// What a condition asks for must be there to be seen.
fn rule_fits(
    reader: &mut Reader<'_>,
    place: Place,
    index: usize,
    rule: &AlertRule,
    sli: &Sli,
    window: &TimeWindow,
) -> bool {
    let (found, expected, remedy) = match (rule.condition, sli.good.slice()) {
        (AlertCondition::Burn { long_us, .. }, _) if long_us > window.nominal_us() => (
            format!("`{}` over {}", rule.name, duration_text(long_us)),
            format!("at most the time window of the objective, {window}"),
            "Cite another policy, or lengthen the time window.",
        ),
        (AlertCondition::Absence { silent_us, .. }, Some(slice)) if silent_us < 2 * slice.length_us => {
            let (twice, once) = (duration_text(2 * slice.length_us), duration_text(slice.length_us));
            (
                format!("`{}` after a silence of {}", rule.name, duration_text(silent_us)),
                format!("at least {twice}, since a slice of {once} is counted when it ends"),
                "Lengthen `alertAfter`, or watch an SLI that judges events.",
            )
        }
        (AlertCondition::Absence { .. }, Some(_)) if counts_in_silence(sli) => (
            format!("`{}` over slices that count although nothing came", rule.name),
            "an SLI that judges events, or `empty: ignore`".to_owned(),
            "It can never fire. Watch an SLI that judges events.",
        ),
        _ => return true,
    };
    reader.mistake(place, &format!("spec.alertPolicies[{index}]"), &found, &expected, remedy);
    false
}

fn counts_in_silence(sli: &Sli) -> bool {
    let Measure::Slice { slice, rule } = &sli.good else { return false };
    slice.empty != Empty::Ignore || matches!(rule, Rule::Traffic(_))
}
