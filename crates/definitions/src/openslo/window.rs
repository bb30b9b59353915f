//! The time window of an SLO: up to now, or from date to date of a calendar.

use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::{flag, whole_panes};
use crate::mistake::{Map, Reader, text_of};
use crate::objective::{CalendarUnit, TimeWindow};
use crate::scalar::whole_number;
use crate::yaml::Node;

/// Years, months and the like of one calendar window.
const UNITS_MAX: u64 = 100;

pub(super) fn time_window(reader: &mut Reader<'_>, mut map: Map<'_>) -> Option<TimeWindow> {
    let duration = map.need(reader, "duration", "a duration such as 30d, or 1M of a calendar");
    let calendar = map.take("calendar");
    // By OpenSLO, a calendar says enough.
    let rolling = match (map.take("isRolling"), calendar) {
        (None, Some(_)) => Some(false),
        (Some(node), _) => {
            let remedy = "A rolling window ends now; others begin on dates.";
            flag(reader, node, &map.path_of("isRolling"), remedy)
        }
        (None, None) => {
            let remedy = "Add `isRolling: true`, or a `calendar:`.";
            reader.mistake(map.place(), &map.path_of("isRolling"), "no such key", "`true` or `false`", remedy);
            None
        }
    };
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
    let remedy = match node.text().is_some_and(|text| text.ends_with(['M', 'Q', 'Y'])) {
        true => "Months, quarters and years are of a calendar: say `isRolling: false`.",
        false => "Such as `30d`, `4w` or `1h`.",
    };
    let length_us = whole_panes(reader, node, &format!("{path}.duration"), remedy)?;
    Some(TimeWindow::Rolling { length_us })
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
