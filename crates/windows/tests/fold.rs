//! Panes and windows are functions of the records alone; windows agree with sorted data.

mod written;

use proptest::prelude::*;
use streamgauge_events::facts::OTHER;
use streamgauge_events::{EventTime, Fact};
use streamgauge_windows::{Fold, Label, Level, Only, Query, Window};

use written::{DAY, Input, LAYOUT, Layout, Random, SECOND, Written, input, write, write_partition};

fn named(name: &str) -> Label {
    Label::Named(name.to_owned())
}

fn fold(written: &Written) -> Fold {
    let mut fold = Fold::new(Only::default());
    for (lane, facts) in &written.facts {
        facts.iter().for_each(|fact| fold.observe(*lane, fact).expect("the stage writes readable facts"));
    }
    fold
}

fn pane(seconds: i64) -> EventTime {
    EventTime(DAY + seconds * SECOND)
}

fn panes(fold: &Fold) -> Vec<String> {
    fold.panes().map(|pane| pane.to_json()).collect()
}

fn query(length_secs: i64, by: &[Label]) -> Query {
    Query {
        length_us: length_secs * SECOND,
        by: Some(by.to_vec()),
        sli: None,
        service: None,
        from: None,
        to: None,
        levels: Level::defaults(),
    }
}

fn inputs(seed: u64, partitions: usize, records: usize) -> Vec<Input> {
    let mut random = Random(seed);
    (0..partitions).map(|_| input(&mut random, records, 120)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn panes_do_not_depend_on_how_batches_were_cut(seed: u64, partitions in 1..4_usize, cells_max in 1..40_usize) {
        let inputs = inputs(seed, partitions, 150);
        let one = fold(&write(&inputs, LAYOUT));
        let many = fold(&write(&inputs, Layout { cells_max, output_partitions: 2, ..LAYOUT }));
        prop_assert_eq!(panes(&one), panes(&many));
        let by = [Label::Service, named("route"), named("version")];
        prop_assert_eq!(query(60, &by).windows(&one), query(60, &by).windows(&many));
    }

    #[test]
    fn panes_do_not_depend_on_the_order_of_source_partitions(seed: u64, partitions in 2..5_usize) {
        let inputs = inputs(seed, partitions, 80);
        let parts: Vec<Written> =
            inputs.iter().enumerate().map(|(p, input)| write_partition(p as i32, partitions as i32, input, LAYOUT)).collect();
        let mut forth = Fold::new(Only::default());
        let mut mixed = Fold::new(Only::default());
        for part in &parts {
            part.facts.iter().for_each(|(lane, facts)| facts.iter().for_each(|fact| forth.observe(*lane, fact).unwrap()));
        }
        // One fact of each partition in turn, the last partition first.
        let mut queues: Vec<Vec<(i32, &Vec<u8>)>> = parts.iter().rev()
            .map(|part| part.facts.iter().rev().flat_map(|(lane, facts)| facts.iter().map(move |fact| (*lane, fact))).collect())
            .collect();
        queues.iter_mut().for_each(|queue| queue.reverse());
        while queues.iter().any(|queue| !queue.is_empty()) {
            queues.iter_mut().filter_map(Vec::pop).for_each(|(lane, fact)| mixed.observe(lane, fact).unwrap());
        }
        prop_assert_eq!(panes(&forth), panes(&mixed));
    }

    #[test]
    fn quantiles_hold_the_values_of_sorted_data(seed: u64, length_panes in 1..7_i64) {
        let inputs = inputs(seed, 2, 200);
        let fold = fold(&write(&inputs, LAYOUT));
        let windows = query(10 * length_panes, &[]).windows(&fold).expect("a multiple of the pane");
        let mut total = 0;
        for window in windows {
            let (counted, mut latencies) = truth(&inputs, &window);
            prop_assert_eq!(window.total, counted);
            total += counted;
            latencies.sort_unstable();
            for level in Level::defaults() {
                let found = window.quantiles.iter().find(|(name, _)| *name == level.name).map(|(_, bounds)| bounds);
                let Some(bounds) = found else {
                    prop_assert!(latencies.is_empty());
                    continue;
                };
                let value = latencies[level.quantile.rank(latencies.len() as u64) as usize - 1];
                let upper = bounds.upper.expect("nothing takes an hour here");
                prop_assert!(bounds.lower <= value && value <= upper && upper - value <= value / 128, "{value} in {bounds:?}");
            }
        }
        let all = inputs.iter().flatten().filter(|(_, value)| value.starts_with(b"{")).count() as u64;
        prop_assert_eq!(total, all);
    }
}

/// Requests and latencies of successes in a window, from the input itself.
fn truth(inputs: &[Input], window: &Window) -> (u64, Vec<u64>) {
    let values =
        inputs.iter().flatten().filter_map(|(_, value)| serde_json::from_slice::<serde_json::Value>(value).ok());
    let inside: Vec<_> = values
        .filter(|value| value["ts"].as_i64().is_some_and(|ts| (window.start.0..window.end.0).contains(&ts)))
        .collect();
    let latencies =
        inside.iter().filter(|value| value["status"] != 503).filter_map(|value| value["latency_us"].as_u64()).collect();
    (inside.len() as u64, latencies)
}

fn requests(lines: &[(i64, &str)]) -> Input {
    let value = |(at, rest): &(i64, &str)| format!(r#"{{"ts":{},{rest}}}"#, DAY + at * SECOND).into_bytes();
    lines.iter().enumerate().map(|(offset, line)| (offset as i64, value(line))).collect()
}

/// Each window as `labels start-end good/total coverage`.
fn table(windows: &[Window]) -> Vec<String> {
    let text = |window: &Window| {
        let labels: Vec<&str> = window.labels.values().map(String::as_str).collect();
        let at = |time: EventTime| (time.0 - DAY) / SECOND;
        let lacks: Vec<String> = window.lacks.iter().map(ToString::to_string).collect();
        format!(
            "{} {}-{} {}/{} {}{}",
            labels.join(" "),
            at(window.start),
            at(window.end),
            window.good,
            window.total,
            if lacks.is_empty() { window.coverage.as_str().to_owned() } else { lacks.join("+") },
            if window.complete { "" } else { " open" },
        )
    };
    windows.iter().map(text).collect()
}

#[test]
fn windows_group_by_the_chosen_labels() {
    let input = requests(&[
        (1, r#""service":"cart","route":"/a","status":200"#),
        (2, r#""service":"cart","route":"/b","status":500"#),
        (3, r#""service":"checkout","route":"/a","status":200"#),
        (61, r#""service":"cart","status":200"#),
        (62, r#""service":"cart","tenant":"acme","status":200"#),
    ]);
    let fold = fold(&write(&[input], LAYOUT));
    for (by, expected) in [
        (&[][..], &[" 0-60 2/3 full", " 60-120 2/2 full"][..]),
        (&[Label::Service], &["cart 0-60 1/2 full", "cart 60-120 2/2 full", "checkout 0-60 1/1 full"]),
        (&[Label::Tenant], &[" 0-60 2/3 full", " 60-120 1/1 full", "acme 60-120 1/1 full"]),
        (&[named("route")], &[" 60-120 2/2 full", "/a 0-60 2/2 full", "/b 0-60 0/1 full"]),
    ] {
        assert_eq!(table(&query(60, by).windows(&fold).expect("a multiple of the pane")), expected, "by {by:?}");
    }
    let default = Query { by: None, service: Some("cart".to_owned()), ..query(60, &[]) };
    let found = table(&default.windows(&fold).expect("a multiple of the pane"));
    assert_eq!(found, ["cart 0-60 1/2 full", "cart 60-120 1/1 full", "cart acme 60-120 1/1 full"]);
    let later = Query { from: Some(pane(60)), ..query(60, &[]) };
    assert_eq!(table(&later.windows(&fold).expect("a multiple of the pane")), [" 60-120 2/2 full"]);
}

#[test]
fn a_window_must_be_made_of_whole_panes() {
    let fold = fold(&write(&[requests(&[(1, r#""service":"cart""#)])], LAYOUT));
    let error = query(15, &[]).windows(&fold).expect_err("15 s are no multiple of 10 s");
    assert_eq!(
        error.to_string(),
        "a window of 15s is not a multiple of the panes of 10s that were recorded; the next longer one has 20s"
    );
}

#[test]
fn the_bound_keeps_the_smallest_hashes_and_folds_the_rest() {
    let lines: Vec<String> =
        (0..20).map(|route| format!(r#""service":"checkout","route":"/{route}","status":200"#)).collect();
    let lines: Vec<(i64, &str)> = lines.iter().map(|line| (1, line.as_str())).collect();
    let fold = fold(&write(&[requests(&lines)], Layout { cells_max: 1, ..LAYOUT }));
    let windows = query(10, &[Label::Service, named("route")]).windows(&fold).expect("a multiple of the pane");
    assert_eq!(windows.len(), 5, "four routes and the rest");
    assert_eq!(windows.iter().map(|window| window.total).sum::<u64>(), 20);
    let other = windows.iter().find(|window| window.labels["route"] == OTHER).expect("the rest");
    assert_eq!((other.total, other.labels["service"].as_str()), (16, "checkout"));
    assert!(windows.iter().all(|window| !window.lacks.is_empty()), "where the bound was hit, parts may be missing");
    let services = query(10, &[Label::Service]).windows(&fold).expect("a multiple of the pane");
    assert_eq!(table(&services), ["checkout 0-10 20/20 full"], "totals of a declared service are complete");
}

#[test]
fn a_repeated_batch_changes_nothing() {
    let inputs = inputs(7, 2, 200);
    let written = write(&inputs, Layout { output_partitions: 1, ..LAYOUT });
    let once = fold(&written);
    let facts = &written.facts[&0];
    let ends: Vec<usize> =
        (0..facts.len()).filter(|at| matches!(Fact::from_json(&facts[*at]), Ok(Fact::Frontier(_)))).collect();
    let batch = &facts[ends[2] + 1..=ends[3]];
    let mut again = written.clone();
    let at = ends[4] + 1;
    again.facts.insert(0, [&facts[..at], batch, &facts[at..]].concat());
    let twice = fold(&again);
    assert_eq!(panes(&once), panes(&twice));
    assert_eq!((twice.coverage().repeated_batches(), twice.coverage().repeated_deltas()), (1, batch.len() as u64 - 1));
}

#[test]
fn lost_ranges_and_holes_make_windows_partial() {
    let lines: Vec<(i64, &str)> = (0..12).map(|index| (10 * index + 1, r#""service":"cart","status":200"#)).collect();
    let written = write(&[requests(&lines)], Layout { output_partitions: 1, ..LAYOUT });
    let edit = |change: &dyn Fn(&mut Vec<Fact>)| {
        let mut facts: Vec<Fact> =
            written.facts[&0].iter().map(|fact| Fact::from_json(fact).expect("a fact")).collect();
        change(&mut facts);
        let mut fold = Fold::new(Only::default());
        facts.iter().for_each(|fact| fold.add(0, fact).expect("a readable fact"));
        table(&query(30, &[]).windows(&fold).expect("a multiple of the pane"))
    };
    assert_eq!(edit(&|_| ()), [" 0-30 3/3 full", " 30-60 3/3 full", " 60-90 3/3 full", " 90-120 3/3 full"]);
    let lost = edit(&|facts| {
        let frontier = facts.iter_mut().find_map(|fact| match fact {
            Fact::Frontier(frontier) if frontier.complete_until == pane(60) => Some(frontier),
            _ => None,
        });
        frontier.expect("a batch ends there").lost.push((4, 5));
    });
    assert_eq!(lost, [" 0-30 3/3 full", " 30-60 3/3 lost", " 60-90 3/3 full", " 90-120 3/3 full"]);
    let hole = edit(&|facts| {
        facts.retain(|fact| match fact {
            Fact::Delta(delta) => delta.batch != 7,
            Fact::Frontier(frontier) => frontier.batch != 7,
        })
    });
    // The pane from 50 to 60 is missing; late records of batch 7 may have belonged anywhere up to the next frontier.
    assert_eq!(hole, [" 0-30 3/3 full", " 30-60 2/2 hole", " 60-90 3/3 hole", " 90-120 3/3 full"]);
}

#[test]
fn a_window_is_open_until_every_partition_has_passed_it() {
    let line = r#""service":"cart","status":200"#;
    let ahead = requests(&[(1, line), (101, line)]);
    let behind = requests(&[(1, line), (41, line)]);
    let layout = Layout { output_partitions: 1, end: false, ..LAYOUT };
    let found = |inputs: &[Input]| table(&query(30, &[]).windows(&fold(&write(inputs, layout))).expect("a multiple"));
    assert_eq!(found(&[ahead.clone(), behind.clone()]), [" 0-30 2/2 full"], "later panes are not written yet");
    let mut silent = write(&[ahead.clone(), behind], layout);
    silent.facts.get_mut(&0).expect("facts").retain(|fact| match Fact::from_json(fact) {
        Ok(Fact::Frontier(frontier)) => frontier.partition == 0,
        _ => true,
    });
    assert_eq!(
        table(&query(30, &[]).windows(&fold(&silent)).expect("a multiple")),
        [" 0-30 2/2 full open"],
        "partition 0 says that there are two"
    );
}

#[test]
fn the_line_of_a_window() {
    let input = requests(&[
        (1, r#""service":"cart","status":200,"latency_us":1000"#),
        (2, r#""service":"cart","status":200,"latency_us":3700000000"#),
        (3, r#""service":"cart","status":500,"latency_us":7,"trace_id":"abc""#),
        (4, r#""service":"cart""#),
    ]);
    let fold = fold(&write(&[input], LAYOUT));
    let windows = Query { by: None, ..query(60, &[]) }.windows(&fold).expect("a multiple");
    let lines: Vec<String> = windows.iter().map(Window::to_json).collect();
    expect_test::expect![[r#"{"sli":"requests","labels":{"service":"cart"},"start":"2026-01-01T00:00:00Z","end":"2026-01-01T00:01:00Z","good":2,"total":4,"failed":1,"unjudged":1,"latency":{"count":2,"sum_us":"3700001000","min_us":1000,"max_us":3700000000},"quantiles":{"p50":{"lower":1000,"upper":1003},"p95":{"lower":3600000001,"upper":null},"p99":{"lower":3600000001,"upper":null}},"exemplars":["abc"],"coverage":"full","complete":true}"#]]
    .assert_eq(&lines.join("\n"));
    let panes = panes(&fold);
    expect_test::expect![[r#"{"tenant":"","service":"cart","sli":"requests","labels":{},"group":"","pane":1767225600000000,"pane_us":10000000,"n":4,"good":2,"failed":1,"unjudged":1,"latency":{"sum_us":"3700001000","min_us":1000,"max_us":3700000000,"overflow":1,"histogram":"+gMB"},"newest":1767225604000000,"exemplars":["abc"]}"#]].assert_eq(&panes.join("\n"));
}
