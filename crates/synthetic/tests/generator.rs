//! What the generator promises: the same bytes from the same seed, shares as asked, readable records, honest breakage.

use std::collections::BTreeMap;

use expect_test::expect;
use streamgauge_events::Request;
use streamgauge_synthetic::{Breakage, Generated, Generator, Kind, Scenario, Until};

/// FNV-1a, 64 bits, over everything that a log would see of a record.
fn hash(records: impl Iterator<Item = Generated>) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for record in records {
        let at = record.at_us.to_le_bytes();
        let partition = record.partition.to_le_bytes();
        for byte in at.iter().chain(&partition).chain(record.key.iter().flatten()).chain(&record.value) {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    hash
}

fn built_in(name: &str) -> Scenario {
    Scenario::built_in(name).expect("built-in scenarios are valid")
}

/// The golden hashes say: on every machine, in every profile, for ever, unless a scenario or the format of records
/// changes on purpose.
#[test]
fn the_same_seed_gives_the_same_bytes() {
    let first = |name: &str, seed: u64| hash(Generator::new(&built_in(name), seed).take(10_000));
    assert_eq!(first("shop-day", 7), first("shop-day", 7));
    assert_ne!(first("shop-day", 7), first("shop-day", 8));
    expect!["eb0f7122ad99ac63 90693c0e0eae8d50"].assert_eq(&format!(
        "{:016x} {:016x}",
        first("shop-day", 7),
        first("steady", 7)
    ));
}

#[test]
fn buffers_that_are_used_again_hold_the_same_records() {
    let scenario = built_in("shop-day");
    let mut generator = Generator::new(&scenario, 3);
    let mut record = Generated::default();
    for fresh in Generator::new(&scenario, 3).take(5_000) {
        assert!(generator.fill(&mut record));
        assert_eq!(record, fresh);
    }
}

#[test]
fn records_look_like_this() {
    let lines: String = Generator::new(&built_in("shop-day"), 1)
        .filter(|record| record.value.len() < 1000)
        .take(4)
        .map(|record| format!("{}\n", String::from_utf8_lossy(&record.value)))
        .collect();
    expect![[r#"
        {"ts":1767571200034534,"service":"catalog","trace_id":"d0201386050a5dc89538a6ea765952dc","method":"GET","route":"/categories","status":200,"latency_us":8688,"version":"5.2.0","region":"us-east","attributes":{"device":"android","bytes":25335,"customer":"c-406"}}
        {"ts":1767571200068309,"service":"cart","trace_id":"db3a0b32073cdfaee226b38887bc803d","method":"POST","route":"/cart/items","status":200,"latency_us":13601,"version":"2.4.1","region":"eu-west","attributes":{"device":"android","bytes":22319,"customer":"c-1189"}}
        {"ts":1767571200115566,"service":"search","trace_id":"4a77569bd7e3cc6241c8fbee8e825bc2","method":"GET","route":"/search","status":200,"latency_us":214858,"version":"3.11.2","region":"us-east","attributes":{"device":"android","bytes":20122,"customer":"c-19"}}
        {"ts":1767571200219095,"service":"payments","trace_id":"7f5daaa41b186e4b94c6d5a508a9f1d5","method":"POST","route":"/authorize","status":200,"latency_us":38550,"version":"8.0.3","region":"us-east","attributes":{"device":"android","bytes":2790,"customer":"c-107"}}
    "#]].assert_eq(&lines);
}

#[test]
fn records_come_in_append_order_and_are_of_ordinary_size() {
    let records: Vec<Generated> = Generator::new(&built_in("shop-day"), 5).take(50_000).collect();
    assert!(records.is_sorted_by_key(|record| record.at_us));
    let readable = records.iter().filter(|record| record.value.len() < 1000);
    let (count, bytes) = readable.fold((0, 0), |(count, bytes), record| (count + 1, bytes + record.value.len()));
    assert!((200..=260).contains(&(bytes / count)), "{} bytes on average", bytes / count);
    assert!(records.iter().all(|record| (0..4).contains(&record.partition)));
}

/// (until, expected number of records, its tolerance)
#[test]
fn a_run_ends_where_it_is_told_to() {
    let scenario = built_in("steady");
    let second = 1_000_000;
    for (until, rate_factor, expected, tolerance) in [
        (Until::Events(12_345), 1.0, 12_345, 0),
        (Until::DurationUs(3 * second), 1.0, 30_000, 900),
        (Until::DurationUs(3 * second), 0.5, 15_000, 700),
        (Until::DurationUs(second), 3.0, 30_000, 900),
        (Until::Events(0), 1.0, 0, 0),
    ] {
        let generator = Generator::new(&scenario, 1).with_rate_factor(rate_factor).with_until(until);
        let count = generator.count() as i64;
        assert!((count - expected).abs() <= tolerance, "{until:?} at x{rate_factor}: {count} records");
    }
}

/// A run shifted in time is the same run: only the timestamps move.
#[test]
fn a_shifted_start_moves_time_and_nothing_else() {
    let scenario = built_in("shop-day");
    let shift_us = 1_234_567_890;
    let shifted = Generator::new(&scenario, 2).with_start(scenario.start_us() + shift_us);
    for (record, moved) in Generator::new(&scenario, 2).zip(shifted).take(20_000) {
        assert_eq!(moved.at_us - record.at_us, shift_us);
        assert_eq!(moved.facts.ts_us - record.facts.ts_us, shift_us);
        assert_eq!((moved.facts.series, moved.facts.latency_us), (record.facts.series, record.facts.latency_us));
    }
}

/// Every record is read by the reader of the stages: the good ones say what the facts say, the broken ones are
/// refused for the reason they were made for.
#[test]
fn records_are_what_their_facts_say() {
    let yaml = include_str!("../../../examples/scenarios/bad-input.yaml");
    let scenario = Scenario::from_yaml(yaml).expect("example scenarios are valid");
    let generator = Generator::new(&scenario, 11).with_until(Until::Events(200_000));
    let series = generator.series().to_vec();
    let mut seen: BTreeMap<Kind, u64> = BTreeMap::new();
    for record in generator {
        let facts = record.facts;
        *seen.entry(facts.kind).or_default() += 1;
        match (Request::from_json(&record.value), facts.kind) {
            (Err(rejection), Kind::Broken(breakage)) => assert_eq!(rejection.reason, breakage.reason(), "{rejection}"),
            (Ok(_), Kind::Broken(breakage)) if breakage != Breakage::ClockAhead => panic!("{breakage:?} was read"),
            (Err(rejection), kind) => panic!("{kind:?}: {rejection}"),
            (Ok(request), _) => {
                let of = &series[facts.series as usize];
                assert_eq!(request.ts.0, facts.ts_us);
                assert_eq!(request.service, of.service);
                assert_eq!(request.route.as_deref(), Some(of.route.as_str()));
                assert_eq!(request.version.as_deref(), Some(of.version.as_str()));
                assert_eq!(request.tenant.unwrap_or_default(), of.tenant);
                assert_eq!(request.latency_us, facts.latency_us);
                let failed = request.ok == Some(false) || request.status.is_some_and(|status| status >= 500);
                assert_eq!(failed, facts.failed);
                assert!(request.event_id.is_some());
            }
        }
    }
    let kinds = [Kind::OnTime, Kind::Delayed, Kind::Late, Kind::TooLate];
    for kind in kinds.into_iter().chain(Breakage::ALL.map(Kind::Broken)) {
        assert!(seen.contains_key(&kind), "no record was {kind:?}");
    }
}

/// (kind, share in bad-input.yaml) over the three partitions that are not garbage.
#[test]
fn shares_are_those_of_the_scenario() {
    let yaml = include_str!("../../../examples/scenarios/bad-input.yaml");
    let scenario = Scenario::from_yaml(yaml).expect("example scenarios are valid");
    let (garbage, others): (Vec<Generated>, Vec<Generated>) =
        Generator::new(&scenario, 12).take(100_000).partition(|record| record.partition == 3);
    assert!(garbage.iter().all(|record| record.facts.kind == Kind::Broken(Breakage::NotJson)));
    assert!((24_000..26_000).contains(&garbage.len()), "{} of 100000 in one of four partitions", garbage.len());
    for (kind, share) in [
        (Kind::OnTime, 0.72498),
        (Kind::Delayed, 0.1),
        (Kind::Late, 0.02),
        (Kind::TooLate, 0.005),
        (Kind::Broken(Breakage::NotJson), 0.02),
        (Kind::Broken(Breakage::NotUtf8), 0.02),
        (Kind::Broken(Breakage::MissingField), 0.02),
        (Kind::Broken(Breakage::WrongType), 0.02),
        (Kind::Broken(Breakage::DuplicateField), 0.02),
        (Kind::Broken(Breakage::NegativeLatency), 0.02),
        (Kind::Broken(Breakage::OutOfRange), 0.02),
        (Kind::Broken(Breakage::ClockAhead), 0.01),
    ] {
        let count = others.iter().filter(|record| record.facts.kind == kind).count() as f64;
        let expected = share * others.len() as f64;
        assert!((count - expected).abs() < 5.0 * expected.sqrt(), "{kind:?}: {count}, expected about {expected}");
    }
    for record in others {
        let behind_us = record.at_us - record.facts.ts_us;
        let (min_us, max_us) = match record.facts.kind {
            Kind::Delayed => (0, 4_900_000),
            Kind::Late => (15_000_000, 3_600_000_000),
            Kind::TooLate => (90_000_000_000, 200_000_000_000),
            Kind::Broken(Breakage::ClockAhead) => (-31_536_000_000_000, -31_536_000_000_000),
            _ => (0, 0),
        };
        assert!((min_us..=max_us).contains(&behind_us), "{:?} is {behind_us} us behind", record.facts.kind);
    }
}

/// What the steady scenario asks of traffic and failures: (service, share of traffic, share of failures).
#[test]
fn traffic_and_failures_are_split_as_weighted() {
    let generator = Generator::new(&built_in("steady"), 14).with_until(Until::Events(300_000));
    let series = generator.series().to_vec();
    let mut counts: BTreeMap<String, (f64, f64, f64)> = BTreeMap::new();
    for record in generator {
        let of = &series[record.facts.series as usize];
        let (n, failed, newer) = counts.entry(of.service.clone()).or_default();
        *n += 1.0;
        *failed += f64::from(u8::from(record.facts.failed));
        *newer += f64::from(u8::from(["1.1.0", "3.5.0", "7.0.1"].contains(&of.version.as_str())));
    }
    let near = |count: f64, expected: f64| (count - expected).abs() < 5.0 * expected.sqrt();
    for (service, traffic, failures) in
        [("gateway", 4.0 / 7.0, 0.002), ("accounts", 2.0 / 7.0, 0.001), ("orders", 1.0 / 7.0, 0.004)]
    {
        let (n, failed, newer) = counts[service];
        assert!(near(n, traffic * 300_000.0), "{service}: {n} requests");
        assert!(near(failed, failures * n), "{service}: {failed} of {n} failed");
        assert!(near(newer, n / 2.0), "{service}: {newer} of {n} on the newer version");
    }
}

/// Without its faults a scenario gives the same bytes for every request that no fault touches.
#[test]
fn a_fault_changes_only_what_it_touches() {
    let yaml = include_str!("../../../examples/scenarios/black-friday.yaml");
    let (before, rest) = yaml.split_once("faults:").expect("the scenario has faults");
    let (_, after) = rest.split_once("disorder:").expect("the scenario has disorder");
    let parse = |yaml: &str| Scenario::from_yaml(yaml).expect("example scenarios are valid");
    let (faulty, calm) = (parse(yaml), parse(&format!("{before}disorder:{after}")));
    let planted = faulty.planted(faulty.start_us());
    let touched = |generator: &Generator, record: &Generated| {
        let service = &generator.series()[record.facts.series as usize].service;
        planted.iter().any(|fault| {
            (fault.start_us..fault.end_us).contains(&record.facts.ts_us)
                && fault.service.as_ref().is_none_or(|name| name == service)
        })
    };
    let untouched = |scenario: &Scenario| {
        let mut generator = Generator::new(scenario, 15);
        let mut records = Vec::new();
        let mut all = 0;
        while let Some(record) = generator.next() {
            all += 1;
            if !touched(&generator, &record) {
                records.push(record);
            }
        }
        (all, records)
    };
    let ((all_faulty, faulty), (all_calm, calm)) = (untouched(&faulty), untouched(&calm));
    assert!(faulty == calm, "{} and {} records untouched", faulty.len(), calm.len());
    assert!(all_faulty < all_calm && calm.len() < all_calm, "the faults must touch something");
}

/// Zipf: with exponent 0.9 over 100,000 customers the first is chosen 2^0.9 times as often as the second.
#[test]
fn keys_are_skewed_and_decide_the_partition() {
    let mut counts: BTreeMap<Vec<u8>, u32> = BTreeMap::new();
    let mut partition_of: BTreeMap<Vec<u8>, i32> = BTreeMap::new();
    for record in Generator::new(&built_in("steady"), 4).take(200_000) {
        let key = record.key.expect("the scenario has keys");
        assert_eq!(*partition_of.entry(key.clone()).or_insert(record.partition), record.partition);
        *counts.entry(key).or_default() += 1;
    }
    let count = |key: &str| f64::from(counts[key.as_bytes()]);
    for (rank, key) in [(2.0_f64, "c-2"), (10.0, "c-10"), (50.0, "c-50")] {
        let ratio = count("c-1") / count(key) / rank.powf(0.9);
        assert!((0.75..1.3).contains(&ratio), "{key}: {ratio}");
    }
}
