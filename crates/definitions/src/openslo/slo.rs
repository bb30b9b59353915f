//! `SLO` documents: how good an SLI is promised to be, over which time, and how bad ones spend the budget.

use std::collections::BTreeSet;

use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::mistake::{Map, Reader, closest, listed, text_of};
use crate::model::{Budgeting, CalendarUnit, Definitions, Share, Sli, Slo, TimeWindow};
use crate::scalar::{duration_text, duration_us, share, whole_number};
use crate::yaml::{Content, Node, Place};

/// Slices and rolling windows hold whole panes of this length.
const PANE_US: i64 = 10_000_000;
/// The offsets of all time zones are multiples of this.
const QUARTER_HOUR_US: i64 = 900_000_000;
const DAY_US: i64 = 86_400_000_000;
/// Years, months and the like of one calendar window.
const UNITS_MAX: u64 = 100;
const METHODS: [&str; 3] = ["Occurrences", "Timeslices", "RatioTimeslices"];

/// `slis_with_mistakes`: whoever refers to them makes no mistake by that.
pub(super) fn slo(
    reader: &mut Reader<'_>,
    mut map: Map<'_>,
    definitions: &Definitions,
    slis_with_mistakes: &BTreeSet<String>,
) -> Option<Slo> {
    let mut spec = map.need_map(reader, "spec", "a block of keys")?;
    map.finish(reader, &["apiVersion", "kind", "metadata", "spec"]);
    let description = spec.text(reader, "description", "a text").map(str::to_owned);
    let service = spec.need(reader, "service", "the name of a service");
    let indicator = spec.need(reader, "indicatorRef", "the name of an SLI");
    let indicator = indicator.and_then(|node| indicator_of(reader, node, definitions, slis_with_mistakes));
    let window = spec.need(reader, "timeWindow", "a list with one time window");
    let window = window.and_then(|node| {
        let map = only(reader, node, "spec.timeWindow")?;
        Some((node.place, time_window(reader, map)?))
    });
    let method = spec.need(reader, "budgetingMethod", &listed(METHODS)).and_then(|node| {
        let method = node.text().filter(|text| METHODS.contains(text));
        if method.is_none() {
            let remedy = "Events count alike by `Occurrences`, slices of time by the others.";
            reader.wrong(node, "spec.budgetingMethod", &format!("one of {}", listed(METHODS)), remedy);
        }
        method
    });
    let objective = spec.need(reader, "objectives", "a list with one objective");
    let objective = objective.and_then(|node| Some((node.place, only(reader, node, "spec.objectives")?)));
    let objective = objective.and_then(|(place, map)| Some((place, objective_of(reader, map, method?)?)));
    spec.finish(reader, &["description", "service", "indicatorRef", "timeWindow", "budgetingMethod", "objectives"]);
    let (name, sli) = indicator?;
    let (window_place, window) = window?;
    let (place, (target, budgeting)) = objective?;
    if let Some(node) = service.filter(|node| node.text() != Some(&sli.service)) {
        let expected = format!("`{}`, the service of the SLI `{name}`", sli.service);
        reader.wrong(node, "spec.service", &expected, "An objective is about the service that its SLI measures.");
        return None;
    }
    service?;
    let fits = slices_fit(reader, place, sli, budgeting) & width_fits(reader, window_place, budgeting, &window);
    fits.then(|| Slo {
        display_name: None,
        description,
        service: sli.service.clone(),
        indicator: name.to_owned(),
        target,
        budgeting,
        window,
    })
}

fn indicator_of<'d>(
    reader: &mut Reader<'_>,
    node: &Node,
    definitions: &'d Definitions,
    slis_with_mistakes: &BTreeSet<String>,
) -> Option<(&'d str, &'d Sli)> {
    let name = text_of(reader, node, "spec.indicatorRef", "the name of an SLI")?;
    if let Some((name, sli)) = definitions.slis.get_key_value(name) {
        return Some((name, sli));
    }
    if !slis_with_mistakes.contains(name) {
        let known = || definitions.slis.keys().map(String::as_str);
        let expected = match definitions.slis.is_empty() {
            true => "an SLI that a document defines".to_owned(),
            false => format!("an SLI that a document defines: {}", listed(known())),
        };
        let remedy = match closest(name, known()) {
            Some(meant) => format!("Did you mean `{meant}`?"),
            None => format!("Add a document with `kind: SLI` and metadata.name {name}."),
        };
        reader.wrong(node, "spec.indicatorRef", &expected, &remedy);
    }
    None
}

/// OpenSLO writes these as lists, and so do we; more than one has no meaning yet that anybody agrees on.
fn only<'n>(reader: &mut Reader<'_>, node: &'n Node, path: &str) -> Option<Map<'n>> {
    match &node.content {
        Content::List(items) if items.len() == 1 => Map::of(reader, &items[0], &format!("{path}[0]")),
        Content::List(items) => {
            let found = format!("a list of {}", items.len());
            reader.mistake(node.place, path, &found, "a list of one", "Write an SLO of its own for each.");
            None
        }
        _ => {
            reader.wrong(node, path, "a list of one", "Write `- ` before its first key.");
            None
        }
    }
}

fn time_window(reader: &mut Reader<'_>, mut map: Map<'_>) -> Option<TimeWindow> {
    let duration = map.need(reader, "duration", "a duration such as 30d, or 1M of a calendar");
    let rolling = map.need(reader, "isRolling", "`true` or `false`").and_then(|node| {
        let rolling = match node.text() {
            Some("true") => Some(true),
            Some("false") => Some(false),
            _ => None,
        };
        if rolling.is_none() {
            let remedy = "A rolling window ends now; others begin on dates.";
            reader.wrong(node, &map.path_of("isRolling"), "`true` or `false`", remedy);
        }
        rolling
    });
    let calendar = map.take("calendar");
    let path = map.path.clone();
    let place = map.place();
    map.finish(reader, &["duration", "isRolling", "calendar"]);
    let duration = duration?;
    match (rolling?, calendar) {
        (true, None) => rolling_window(reader, duration, &path),
        (true, Some(node)) => {
            let remedy = "Remove it, or say `isRolling: false`.";
            reader.wrong(node, &format!("{path}.calendar"), "no such key beside `isRolling: true`", remedy);
            None
        }
        (false, None) => {
            let remedy = "Add `calendar:` with startTime and timeZone, or say `isRolling: true`.";
            let expected = "a block with startTime and timeZone";
            reader.mistake(place, &format!("{path}.calendar"), "no such key", expected, remedy);
            None
        }
        (false, Some(node)) => {
            let units = calendar_units(reader, duration, &path);
            let calendar = calendar_of(reader, node, &format!("{path}.calendar"));
            let ((unit, count), (start, time_zone)) = (units?, calendar?);
            Some(TimeWindow::Calendar { unit, count, start, time_zone })
        }
    }
}

fn rolling_window(reader: &mut Reader<'_>, node: &Node, path: &str) -> Option<TimeWindow> {
    let text = node.text().unwrap_or_default();
    // OpenSLO has weeks, too.
    let weeks = text.strip_suffix('w').and_then(whole_number).filter(|weeks| (1..=500).contains(weeks));
    let found = weeks.map_or_else(|| duration_us(text).ok(), |weeks| Some(weeks as i64 * 7 * DAY_US));
    let length_us = found.filter(|us| us % PANE_US == 0);
    if length_us.is_none() {
        let remedy = match text.ends_with(['M', 'Q', 'Y']) {
            true => "Months, quarters and years are of a calendar: say `isRolling: false`.",
            false => "Such as `30d`, `4w` or `1h`.",
        };
        let expected = format!("a duration of whole panes ({})", duration_text(PANE_US));
        reader.wrong(node, &format!("{path}.duration"), &expected, remedy);
    }
    length_us.map(|length_us| TimeWindow::Rolling { length_us })
}

fn calendar_units(reader: &mut Reader<'_>, node: &Node, path: &str) -> Option<(CalendarUnit, u32)> {
    let text = node.text().unwrap_or_default();
    let found = text.char_indices().last().and_then(|(at, unit)| {
        let count = whole_number(&text[..at]).filter(|count| (1..=UNITS_MAX).contains(count))? as u32;
        match unit {
            'd' => Some((CalendarUnit::Days, count)),
            'w' => Some((CalendarUnit::Weeks, count)),
            'M' => Some((CalendarUnit::Months, count)),
            'Q' => Some((CalendarUnit::Months, 3 * count)),
            'Y' => Some((CalendarUnit::Years, count)),
            _ => None,
        }
    });
    if found.is_none() {
        let expected = format!("1 to {UNITS_MAX} of a calendar's `d`, `w`, `M`, `Q` or `Y`");
        reader.wrong(node, &format!("{path}.duration"), &expected, "A month is `1M`, a quarter `1Q`.");
    }
    found
}

/// The date on which one window begins, and the zone in which it is a date.
fn calendar_of(reader: &mut Reader<'_>, node: &Node, path: &str) -> Option<(String, String)> {
    let mut map = Map::of(reader, node, path)?;
    let start = map.need(reader, "startTime", "a date such as 2026-01-01").and_then(|node| {
        let text = node.text().unwrap_or_default();
        let date = text.strip_suffix(" 00:00:00").unwrap_or(text);
        let found = Some(date).filter(|date| date.len() == 10).and_then(|date| date.parse::<Date>().ok());
        if found.is_none() {
            let remedy = "Windows begin with a day: write 2026-01-01, or 2026-01-01 00:00:00.";
            reader.wrong(node, &format!("{path}.startTime"), "a date", remedy);
        }
        found.map(|date| date.to_string())
    });
    let time_zone = map.need(reader, "timeZone", "a time zone such as Europe/Berlin").and_then(|node| {
        let name = text_of(reader, node, &format!("{path}.timeZone"), "a time zone such as Europe/Berlin")?;
        if TimeZone::get(name).is_err() {
            let remedy = "Such as `UTC`, `Europe/Berlin` or `America/New_York`.";
            reader.wrong(node, &format!("{path}.timeZone"), "a zone of the IANA database", remedy);
            return None;
        }
        Some(name.to_owned())
    });
    map.finish(reader, &["startTime", "timeZone"]);
    Some((start?, time_zone?))
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
    let width_us = duration_us(node.text().unwrap_or_default()).ok().filter(|us| us % PANE_US == 0);
    if width_us.is_none() {
        let expected = format!("a duration of whole panes ({})", duration_text(PANE_US));
        reader.wrong(node, &path, &expected, "Such as `1m` or `5m`.");
    }
    width_us
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
