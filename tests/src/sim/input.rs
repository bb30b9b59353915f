//! Events as services would emit them, and what else turns up in their topics.

use streamgauge_events::EventTime;
use streamgauge_memory_log::SplitMix64;

use super::schedule::SECOND_US;
use super::writers::{Sample, Writers};

const SERVICES: [&str; 4] = ["checkout", "checkout", "cart", "search"];
const TENANTS: [&str; 2] = ["north", "so/uth%"];
/// How far behind the log's clock a record is, in seconds: mostly in order, some late, few too late.
const LAG_SECS: [i64; 16] = [0, 0, 0, 0, 0, 0, 1, 1, 3, 4, 6, 12, 30, 90, 103, 140];
/// Of all records.
const BROKEN: f64 = 0.06;

/// The value of a record of `requests`, `None` for a tombstone.
pub fn request(random: &mut SplitMix64, now: EventTime) -> Option<Vec<u8>> {
    if random.chance(BROKEN) {
        let good = request_at(random, now.0);
        return broken(random, now, &good, &BROKEN_REQUESTS);
    }
    let ts = event_time(random, now);
    Some(request_at(random, ts).into_bytes())
}

/// The same for `scores`.
pub fn score(random: &mut SplitMix64, now: EventTime) -> Option<Vec<u8>> {
    if random.chance(BROKEN) {
        let good = score_at(random, now.0);
        return broken(random, now, &good, &BROKEN_SCORES);
    }
    let ts = event_time(random, now);
    Some(score_at(random, ts).into_bytes())
}

/// The same for `machines`.
pub fn sample(random: &mut SplitMix64, now: EventTime, writers: &Writers) -> Option<Vec<u8>> {
    let is_broken = random.chance(BROKEN);
    if is_broken && random.chance(0.1) {
        return None;
    }
    let ts = if is_broken { now.0 } else { event_time(random, now) };
    let mut maybe = |chance: f64, choices: &[&'static str]| random.chance(chance).then(|| *random.pick(choices));
    let sample = Sample {
        ts,
        tenant: maybe(0.2, &TENANTS),
        instance: maybe(0.9, &["i1", "i2", "i3", "__other__"]),
        zone: maybe(0.5, &["a", "b"]),
        service: random.pick::<&str>(&SERVICES),
        metric: random.pick::<&str>(&["cpu", "cpu", "memory"]),
    };
    Some(if is_broken { writers.broken(random, sample) } else { writers.sound(random, &sample) })
}

fn event_time(random: &mut SplitMix64, now: EventTime) -> i64 {
    let ahead_us = if random.chance(0.03) { *random.pick(&[3, 60]) * SECOND_US } else { 0 };
    let lag_us = *random.pick(&LAG_SECS) * SECOND_US + random.below(SECOND_US as u64) as i64;
    // On the tick, as those who sample every second are: many have the same time.
    let lag_us = if random.chance(0.3) { lag_us - lag_us % SECOND_US + now.0 % SECOND_US } else { lag_us };
    (now.0 + ahead_us - if ahead_us > 0 { 0 } else { lag_us }).max(0)
}

fn request_at(random: &mut SplitMix64, ts: i64) -> String {
    let mut members = vec![format!("\"ts\":{ts}"), format!("\"service\":\"{}\"", random.pick(&SERVICES))];
    let mut maybe = |chance: f64, member: &dyn Fn(&mut SplitMix64) -> String| {
        if random.chance(chance) {
            members.push(member(random));
        }
    };
    maybe(0.9, &|random| format!("\"route\":\"{}\"", random.pick(&["/a", "/b", "/c", "/d", "/e", "/f", "__other__"])));
    maybe(0.5, &|random| format!("\"version\":\"{}\"", random.pick(&["1", "2", "1", "2", "__other__"])));
    maybe(0.2, &|random| format!("\"tenant\":\"{}\"", random.pick(&TENANTS)));
    maybe(0.9, &|random| format!("\"status\":{}", random.pick(&[200, 200, 200, 204, 404, 500, 503])));
    maybe(0.3, &|random| format!("\"ok\":{}", random.pick(&[true, true, false])));
    maybe(0.9, &|random| format!("\"latency_us\":{}", latency(random)));
    maybe(0.6, &|random| format!("\"trace_id\":\"t{}\"", random.below(1000)));
    maybe(0.5, &|random| format!("\"attributes\":{}", random.pick(&ATTRIBUTES)));
    maybe(0.1, &|_| "\"unknown\":null,\"unknown\":1".to_owned());
    format!("{{{}}}", members.join(","))
}

const ATTRIBUTES: [&str; 5] = [
    r#"{"plan":"gold"}"#,
    r#"{"a":[1,{}],"plan":"silver"}"#,
    r#"{"pl\u0061n":"free"}"#,
    r#"{"plan":7}"#,
    r#"{"plan":"free","plan":"gold"}"#,
];

fn score_at(random: &mut SplitMix64, ts: i64) -> String {
    let mut members = vec![format!("\"service\":\"{}\"", random.pick(&SERVICES)), format!("\"ts\":{ts}")];
    let mut maybe = |chance: f64, member: &dyn Fn(&mut SplitMix64) -> String| {
        if random.chance(chance) {
            members.push(member(random));
        }
    };
    maybe(1.0, &|random| format!("\"metric\":\"{}\"", random.pick(&["satisfaction", "toxicity", "length", "tone"])));
    maybe(0.4, &|random| format!("\"version\":\"{}\"", random.pick(&["1", "2", "3"])));
    maybe(0.2, &|random| format!("\"tenant\":\"{}\"", random.pick(&TENANTS)));
    maybe(0.6, &|random| format!("\"trace_id\":\"t{}\"", random.below(1000)));
    let counts = |random: &mut SplitMix64| {
        let total = random.below(120);
        format!("\"total\":{total},\"good\":{}", total - random.below(total.min(3) + 1))
    };
    match random.below(4) {
        0 => members.push(counts(random)),
        1 => members.extend([counts(random), format!("\"value\":{}", score_value(random))]),
        _ => members.push(format!("\"value\":{}", score_value(random))),
    }
    format!("{{{}}}", members.join(","))
}

/// Around the bounds, below zero, halves of a millionth, and as large as may be.
fn score_value(random: &mut SplitMix64) -> String {
    let plain = format!("0.{:03}", random.below(1000));
    let negative = format!("-{}.{:07}", random.below(3), random.below(10_000_000));
    let few = ["0", "-0.0", "0.5", "0.7", "7e-1", "0.4999995", "0.0000005", "0.0000015", "35184372.088832", "1E3"];
    match random.below(10) {
        0..6 => plain,
        6..8 => negative,
        _ => (*random.pick(&few)).to_owned(),
    }
}

/// Around the thresholds, past the histogram's range, and written as decimals may be.
fn latency(random: &mut SplitMix64) -> String {
    let plain = random.below(600_000).to_string();
    let choices = [plain, "0".into(), "300000".into(), "300001".into(), "2.5e5".into(), "7200000000".into()];
    if random.chance(0.7) { choices[0].clone() } else { random.pick(&choices).clone() }
}

/// Members that make any request none; `NOW` is its time.
const BROKEN_REQUESTS: [&str; 9] = [
    r#""ts":"NOW","service":"cart""#,
    r#""ts":NOW,"service":7"#,
    r#""ts":NOW,"service":"""#,
    r#""ts":NOW,"service":"cart","latency_us":-1"#,
    r#""ts":NOW,"service":"cart","status":1000"#,
    r#""ts":NOW,"service":"cart","status":20.5"#,
    r#""ts":NOW,"service":"cart","ok":1"#,
    r#""ts":NOW,"service":"cart","attributes":[]"#,
    r#""ts":NOW,"service":"cart","route":"LONG""#,
];

const BROKEN_SCORES: [&str; 9] = [
    r#""ts":NOW,"service":"cart","value":1"#,
    r#""ts":NOW,"service":"cart","metric":"","value":1"#,
    r#""ts":NOW,"service":"cart","metric":"tone""#,
    r#""ts":NOW,"service":"cart","metric":"tone","good":1"#,
    r#""ts":NOW,"service":"cart","metric":"tone","good":2,"total":1"#,
    r#""ts":NOW,"service":"cart","metric":"tone","good":0.5,"total":1"#,
    r#""ts":NOW,"service":"cart","metric":"tone","value":"1""#,
    r#""ts":NOW,"service":"cart","metric":"tone","value":-35184372.0888326"#,
    r#""ts":NOW,"service":"cart","metric":"tone","value":1,"value":1"#,
];

fn broken(random: &mut SplitMix64, now: EventTime, good: &str, members: &[&str]) -> Option<Vec<u8>> {
    let texts = [
        "".to_owned(),
        "no json".to_owned(),
        "[1]".to_owned(),
        format!("{good}x"),
        good[..good.len() / 2].to_owned(),
        "{\"service\":\"cart\",\"metric\":\"tone\"}".to_owned(),
        format!("{{\"ts\":{}}}", now.0),
    ];
    match random.below((texts.len() + members.len() + 2) as u64) as usize {
        0 => None,
        1 => Some(vec![0xff, 0xfe, b'{']),
        index => Some(match texts.get(index - 2) {
            Some(text) => text.clone().into_bytes(),
            None => {
                let members = members[index - 2 - texts.len()];
                let members = members.replace("NOW", &now.0.to_string()).replace("LONG", &"x".repeat(513));
                format!("{{{members}}}").into_bytes()
            }
        }),
    }
}
