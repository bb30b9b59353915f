//! Requests as services would emit them, and what else turns up in their topic.

use streamgauge_events::EventTime;
use streamgauge_memory_log::SplitMix64;

use super::schedule::SECOND_US;

const SERVICES: [&str; 4] = ["checkout", "checkout", "cart", "search"];
/// How far behind the log's clock a record is, in seconds: mostly in order, some late, few too late.
const LAG_SECS: [i64; 16] = [0, 0, 0, 0, 0, 0, 1, 1, 3, 4, 6, 12, 30, 90, 103, 140];

/// The value of a record, `None` for a tombstone.
pub fn value(random: &mut SplitMix64, now: EventTime) -> Option<Vec<u8>> {
    if random.chance(0.06) {
        return broken(random, now);
    }
    let ahead_us = if random.chance(0.03) { *random.pick(&[3, 60]) * SECOND_US } else { 0 };
    let lag_us = *random.pick(&LAG_SECS) * SECOND_US + random.below(SECOND_US as u64) as i64;
    let ts = (now.0 + ahead_us - if ahead_us > 0 { 0 } else { lag_us }).max(0);
    Some(request(random, ts).into_bytes())
}

fn request(random: &mut SplitMix64, ts: i64) -> String {
    let mut members = vec![format!("\"ts\":{ts}"), format!("\"service\":\"{}\"", random.pick(&SERVICES))];
    let mut maybe = |chance: f64, member: &dyn Fn(&mut SplitMix64) -> String| {
        if random.chance(chance) {
            members.push(member(random));
        }
    };
    maybe(0.9, &|random| format!("\"route\":\"/{}\"", random.pick(&["a", "b", "c", "d", "e", "f"])));
    maybe(0.5, &|random| format!("\"version\":\"{}\"", random.pick(&["1", "2"])));
    maybe(0.2, &|random| format!("\"tenant\":\"{}\"", random.pick(&["north", "so/uth%"])));
    maybe(0.9, &|random| format!("\"status\":{}", random.pick(&[200, 200, 200, 204, 404, 500, 503])));
    maybe(0.3, &|random| format!("\"ok\":{}", random.pick(&[true, true, false])));
    maybe(0.9, &|random| format!("\"latency_us\":{}", latency(random)));
    maybe(0.6, &|random| format!("\"trace_id\":\"t{}\"", random.below(1000)));
    maybe(0.1, &|_| "\"attributes\":{\"a\":[1,{}]},\"unknown\":null".to_owned());
    format!("{{{}}}", members.join(","))
}

/// Around the thresholds, past the histogram's range, and written as decimals may be.
fn latency(random: &mut SplitMix64) -> String {
    let plain = random.below(600_000).to_string();
    let choices = [plain, "0".into(), "300000".into(), "300001".into(), "2.5e5".into(), "7200000000".into()];
    if random.chance(0.7) { choices[0].clone() } else { random.pick(&choices).clone() }
}

fn broken(random: &mut SplitMix64, now: EventTime) -> Option<Vec<u8>> {
    let good = request(random, now.0);
    let texts = [
        "".to_owned(),
        "no json".to_owned(),
        "[1]".to_owned(),
        format!("{good}x"),
        good[..good.len() / 2].to_owned(),
        "{\"service\":\"cart\"}".to_owned(),
        format!("{{\"ts\":{}}}", now.0),
        format!("{{\"ts\":\"{}\",\"service\":\"cart\"}}", now.0),
        format!("{{\"ts\":{},\"service\":7}}", now.0),
        format!("{{\"ts\":{},\"service\":\"\"}}", now.0),
        format!("{{\"ts\":{},\"service\":\"cart\",\"latency_us\":-1}}", now.0),
        format!("{{\"ts\":{},\"service\":\"cart\",\"status\":1000}}", now.0),
        format!("{{\"ts\":{},\"service\":\"cart\",\"status\":20.5}}", now.0),
    ];
    match random.below(texts.len() as u64 + 2) as usize {
        0 => None,
        1 => Some(vec![0xff, 0xfe, b'{']),
        index => Some(texts[index - 2].clone().into_bytes()),
    }
}
