//! The truth against a recount from the bytes alone, and the truth against results that are wrong on purpose.

use std::collections::BTreeMap;

use expect_test::expect;
use serde_json::Value;
use streamgauge_events::Reason;
use streamgauge_synthetic::{
    Generated, Generator, Manifest, Observed, Scenario, Series, Truth, TruthParameters, Until, compare,
};

const MINUTE_US: i64 = 60_000_000;
const HOUR_US: i64 = 60 * MINUTE_US;

fn built_in(name: &str) -> Scenario {
    Scenario::built_in(name).expect("built-in scenarios are valid")
}

fn bad_input() -> Scenario {
    let yaml = include_str!("../../../examples/scenarios/bad-input.yaml");
    Scenario::from_yaml(yaml).expect("example scenarios are valid")
}

/// Delivers a whole run, each record appended when it was generated.
fn deliver(generator: Generator) -> Manifest {
    let mut truth = Truth::new(&generator, TruthParameters::default());
    let mut records = generator;
    let mut record = Generated::default();
    while records.fill(&mut record) {
        truth.delivered(&record, record.at_us);
    }
    Manifest::new(&records, truth)
}

/// The results of a perfect stage.
fn perfect(truth: &Truth) -> Vec<Observed> {
    let cells =
        truth.panes.iter().flat_map(|(pane, cells)| cells.iter().map(move |(series, cell)| (pane, series, cell)));
    cells
        .map(|(pane_us, series, cell)| Observed {
            series: truth.series[*series as usize].clone(),
            pane_us: *pane_us,
            n: cell.n,
            failed: cell.failed,
            buckets: cell.buckets.clone(),
            sum_us: i128::from(cell.sum_us),
            min_us: cell.min_us,
            max_us: cell.max_us,
        })
        .collect()
}

/// A recount that reads nothing but bytes, by way of a general JSON parser, keeping every latency.
#[derive(Default)]
struct Recount {
    latencies: BTreeMap<(Series, i64), (u64, u64, Vec<u64>)>,
    newest: BTreeMap<i32, i64>,
    counted: u64,
    dead_letters: u64,
}

impl Recount {
    fn record(&mut self, record: &Generated) {
        match Self::read(&record.value) {
            Some((series, ts_us, failed, latency_us)) if self.accepts(record, ts_us) => {
                self.counted += 1;
                let pane = ts_us / 10_000_000 * 10_000_000;
                let cell = self.latencies.entry((series, pane)).or_default();
                cell.0 += 1;
                cell.1 += u64::from(failed);
                cell.2.extend(latency_us.filter(|_| !failed));
            }
            _ => self.dead_letters += 1,
        }
    }

    fn accepts(&mut self, record: &Generated, ts_us: i64) -> bool {
        let newest = self.newest.entry(record.partition).or_insert(ts_us);
        let accepted = ts_us <= record.at_us + 5_000_000 && ts_us >= *newest - 5_000_000 - 24 * HOUR_US;
        if accepted {
            *newest = ts_us.max(*newest);
        } else if *newest == ts_us {
            self.newest.remove(&record.partition);
        }
        accepted
    }

    fn read(value: &[u8]) -> Option<(Series, i64, bool, Option<u64>)> {
        let text = std::str::from_utf8(value).ok()?;
        let json: Value = serde_json::from_str(text).ok()?;
        // A general parser keeps the last of two members; a record with one twice is not counted.
        let twice = text.matches("\"status\":").count() > 1;
        let ts_us = json.get("ts")?.as_i64()?;
        let latency_us = json.get("latency_us").map(|latency| latency.as_u64().filter(|us| *us <= 1 << 45));
        let status = json.get("status").map(|status| status.as_u64().filter(|status| *status <= 999));
        if twice || latency_us == Some(None) || status == Some(None) {
            return None;
        }
        let text = |name: &str| json.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let series =
            Series { tenant: text("tenant"), service: text("service"), route: text("route"), version: text("version") };
        let failed = json.get("ok") == Some(&Value::Bool(false)) || status.flatten() >= Some(500);
        (!series.service.is_empty()).then_some((series, ts_us, failed, latency_us.flatten()))
    }

    /// Into the buckets of the histogram by their definition: exact below 256, then 128 to each doubling.
    fn observed(self) -> Vec<Observed> {
        let fold = |((series, pane_us), (n, failed, latencies)): ((Series, i64), (u64, u64, Vec<u64>))| {
            let mut buckets: BTreeMap<u64, u64> = BTreeMap::new();
            for latency_us in &latencies {
                let width = (0..).map(|doublings| 1_u64 << doublings).find(|width| latency_us / width < 256);
                let width = width.expect("some power of two is large enough");
                *buckets.entry(latency_us / width * width).or_default() += 1;
            }
            Observed {
                series,
                pane_us,
                n,
                failed,
                buckets: buckets.into_iter().collect(),
                sum_us: latencies.iter().map(|us| i128::from(*us)).sum(),
                min_us: latencies.iter().copied().min().unwrap_or(0),
                max_us: latencies.iter().copied().max().unwrap_or(0),
            }
        };
        self.latencies.into_iter().map(fold).collect()
    }
}

#[test]
fn truth_is_what_a_recount_of_the_bytes_gives() {
    for (name, scenario, events) in [("bad-input", bad_input(), 60_000), ("shop-day", built_in("shop-day"), 60_000)] {
        let generator = || Generator::new(&scenario, 21).with_until(Until::Events(events));
        let truth = deliver(generator()).truth;
        let mut recount = Recount::default();
        generator().for_each(|record| recount.record(&record));
        assert_eq!((truth.counted(), truth.dead_lettered()), (recount.counted, recount.dead_letters), "{name}");
        assert_eq!(truth.records(), events);
        let comparison = truth.compare(recount.observed(), &truth.dead_letters, 20);
        assert!(comparison.is_clean(), "{name}: {comparison}");
        assert_eq!(comparison.events_expected, truth.counted());
    }
}

#[test]
fn dead_letters_have_the_reasons_that_were_planted() {
    let truth = deliver(Generator::new(&bad_input(), 5).with_until(Until::Events(50_000))).truth;
    let lines: String = truth.dead_letters.iter().map(|(reason, count)| format!("{reason} {count}\n")).collect();
    expect![[r#"
        undecodable 14015
        missing_field 792
        wrong_type 784
        duplicate_field 754
        negative 726
        out_of_range 726
        future_timestamp 384
        too_late 195
    "#]]
    .assert_eq(&lines);
    assert_eq!(truth.counted() + truth.dead_lettered(), 50_000);
}

#[test]
fn a_manifest_survives_its_file() {
    let manifest = deliver(Generator::new(&built_in("shop-day"), 6).with_until(Until::Events(30_000)));
    let json = manifest.to_json();
    let read = Manifest::from_json(&json).expect("what was written can be read");
    assert_eq!(read, manifest);
    assert!(json.len() < 30_000 * 40, "{} bytes for 30000 records", json.len());
}

#[test]
fn a_manifest_that_was_tampered_with_is_refused() {
    let json = deliver(Generator::new(&built_in("steady"), 6).with_until(Until::Events(1_000))).to_json();
    let text = String::from_utf8(json).expect("JSON is UTF-8");
    for (what, from, to, expected) in [
        ("another format", "\"format\":1,", "\"format\":2,", "the manifest has format 2, this program reads format 1"),
        ("a count that does not add up", "\"counted\":1000,", "\"counted\":1001,", "the manifest contradicts itself"),
        ("an unknown field", "{\"format\"", "{\"extra\":1,\"format\"", "not a manifest: unknown field `extra`"),
    ] {
        assert!(text.contains(from), "{what}: {from} must occur");
        let error = Manifest::from_json(text.replacen(from, to, 1).as_bytes()).expect_err(what);
        assert!(error.to_string().starts_with(expected), "{what}: {error}");
    }
}

/// The comparison can fail: each mistake of a stage is found and named.
#[test]
fn every_mistake_is_a_difference() {
    let manifest = deliver(Generator::new(&built_in("shop-day"), 8).with_until(Until::Events(400)));
    let truth = &manifest.truth;
    let good = perfect(truth);
    assert!(truth.compare(good.clone(), &truth.dead_letters, 9).is_clean());
    type Mistake = fn(&mut Vec<Observed>, &mut BTreeMap<Reason, u64>);
    let mistakes: [(&str, Mistake); 8] = [
        ("a cell is lost", |cells, _| drop(cells.remove(3))),
        ("a cell is not folded", |cells, _| cells.push(cells[0].clone())),
        ("a record counted twice", |cells, _| cells[1].n += 1),
        ("a failure invented", |cells, _| cells[1].failed += 1),
        ("another bucket", |cells, _| cells[1].buckets[0].0 -= 128),
        ("a sum off by one", |cells, _| cells[1].sum_us -= 1),
        ("a service nobody named", |cells, _| cells[2].series.service = "ghost".to_owned()),
        ("a dead letter too many", |_, letters| *letters.entry(Reason::TooLate).or_default() += 1),
    ];
    let mut report = String::new();
    for (what, mistake) in mistakes {
        let (mut cells, mut letters) = (good.clone(), truth.dead_letters.clone());
        mistake(&mut cells, &mut letters);
        report += &format!("# {what}\n{}\n", truth.compare(cells, &letters, 2));
    }
    report += &format!("# nothing arrived\n{}\n", truth.compare([], &BTreeMap::new(), 1));
    expect![[r#"
        # a cell is lost
        1 differences: 387 of 400 events counted, 47 cells compared
          catalog /products 5.2.0 at 2026-01-05T00:00:00Z: missing, expected n=13
        # a cell is not folded
        1 differences: 401 of 400 events counted, 48 cells compared
          checkout /checkout/quote 2.7.1 at 2026-01-04T23:49:10Z: observed twice
        # a record counted twice
        1 differences: 401 of 400 events counted, 48 cells compared
          catalog /products/{id} 5.2.0 at 2026-01-04T23:59:50Z: expected n=1, observed n=2
        # a failure invented
        1 differences: 400 of 400 events counted, 48 cells compared
          catalog /products/{id} 5.2.0 at 2026-01-04T23:59:50Z: expected failed=0, observed failed=1
        # another bucket
        2 differences: 400 of 400 events counted, 48 cells compared
          catalog /products/{id} 5.2.0 at 2026-01-04T23:59:50Z: expected 0 in the bucket from 50560 us, observed 1
          catalog /products/{id} 5.2.0 at 2026-01-04T23:59:50Z: expected 1 in the bucket from 50688 us, observed 0
        # a sum off by one
        1 differences: 400 of 400 events counted, 48 cells compared
          catalog /products/{id} 5.2.0 at 2026-01-04T23:59:50Z: expected sum_us=50730, observed sum_us=50729
        # a service nobody named
        2 differences: 400 of 400 events counted, 47 cells compared
          ghost /suggest 3.11.2 at 2026-01-04T23:59:50Z: unexpected, observed n=1
          search /suggest 3.11.2 at 2026-01-04T23:59:50Z: missing, expected n=1
        # a dead letter too many
        1 differences: 400 of 400 events counted, 48 cells compared
          dead letters, too_late: expected 0, observed 1
        # nothing arrived
        48 differences: 0 of 400 events counted, 0 cells compared
          checkout /checkout/quote 2.7.1 at 2026-01-04T23:49:10Z: missing, expected n=1
          and 47 more
    "#]]
    .assert_eq(&report);
}

/// Whole services, and everything: the truth and the results are folded alike, also where results hold `__other__`.
#[test]
fn folded_results_are_judged_by_a_folded_truth() {
    let truth = deliver(Generator::new(&bad_input(), 9).with_until(Until::Events(20_000))).truth;
    let service = |series: &Series| Series { route: String::new(), version: String::new(), ..series.clone() };
    let all = |_: &Series| Series {
        tenant: String::new(),
        service: String::new(),
        route: String::new(),
        version: String::new(),
    };
    let mut bounded = perfect(&truth);
    let rare = bounded.iter_mut().filter(|cell| cell.series.route.ends_with('7'));
    rare.for_each(|cell| cell.series.route = "__other__".to_owned());
    assert!(!truth.compare(bounded.clone(), &truth.dead_letters, 1).is_clean());
    for (name, rename, series) in
        [("services", &service as &dyn Fn(&Series) -> Series, 2), ("everything", &all as &dyn Fn(&Series) -> Series, 1)]
    {
        let folded = truth.folded(rename);
        assert_eq!(folded.series.len(), series, "{name}");
        let comparison = folded.compare(compare::fold(bounded.clone(), rename), &truth.dead_letters, 5);
        assert!(comparison.is_clean(), "{name}: {comparison}");
        assert_eq!(comparison.events_observed, truth.counted(), "{name}");
    }
}

/// A whole shop day: its size, and each planted fault seen in the truth against the hour before.
#[test]
fn the_faults_of_the_shop_day_can_be_seen() {
    let manifest = deliver(Generator::new(&built_in("shop-day"), 1));
    let truth = &manifest.truth;
    assert!((1_000_000..1_500_000).contains(&truth.records()), "{} records", truth.records());
    let mut report = String::new();
    for planted in &manifest.planted {
        let service = planted.service.as_deref().unwrap_or_default();
        let of_version = |series: &Series| planted.version.as_ref().is_none_or(|version| *version == series.version);
        let (before, _) = truth.count_between(planted.start_us - HOUR_US, planted.start_us, |s| s.service == service);
        let (all, _) = truth.count_between(planted.start_us, planted.end_us, |s| s.service == service);
        let (n, failed) =
            truth.count_between(planted.start_us, planted.end_us, |s| s.service == service && of_version(s));
        let hours = (planted.end_us - planted.start_us) as f64 / HOUR_US as f64;
        report += &format!(
            "{}\n  {before} requests in the hour before, {:.0} an hour during; affected {n}, failed {:.1}%\n",
            planted.expect,
            all as f64 / hours,
            if n == 0 { 0.0 } else { failed as f64 * 100.0 / n as f64 },
        );
    }
    expect![[r#"
        checkout 2.8.0 takes 50.0% of the service's requests; 22.0% of them fail more than before, latency x1.6
          3169 requests in the hour before, 3819 an hour during; affected 1295, failed 22.5%
        payments: latency x6, 3.0% more failures
          4607 requests in the hour before, 5330 an hour during; affected 6662, failed 3.6%
        search: no requests at all
          18539 requests in the hour before, 0 an hour during; affected 0, failed 0.0%
    "#]]
    .assert_eq(&report);
}

/// The median of payments during the slow dependency, from the truth's own buckets.
#[test]
fn a_slow_dependency_is_slow() {
    let manifest = deliver(Generator::new(&built_in("shop-day"), 1));
    let planted = manifest.planted.iter().find(|planted| planted.kind == "slow_dependency").expect("one is planted");
    let truth = &manifest.truth;
    let median = |from_us: i64, to_us: i64| {
        let mut buckets: BTreeMap<u64, u64> = BTreeMap::new();
        for (series, cell) in truth.panes.range(from_us..to_us).flat_map(|(_, cells)| cells) {
            if truth.series[*series as usize].service == "payments" {
                cell.buckets.iter().for_each(|(lower_us, count)| *buckets.entry(*lower_us).or_default() += count);
            }
        }
        let half = buckets.values().sum::<u64>() / 2;
        let mut below = 0;
        let found = buckets.iter().find(|(_, count)| {
            below += **count;
            below > half
        });
        *found.expect("there are latencies").0 as f64
    };
    let ratio = median(planted.start_us, planted.end_us) / median(planted.start_us - HOUR_US, planted.start_us);
    assert!((5.5..6.5).contains(&ratio), "planted x6, seen x{ratio:.2}");
}
