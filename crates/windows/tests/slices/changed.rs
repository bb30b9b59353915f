//! What stays true when definitions or clocks change under an SLI.

use std::collections::BTreeMap;

use streamgauge_definitions::Definitions;
use streamgauge_events::{EventTime, Fact, topics};
use streamgauge_windows::{Fold, Only, Query, Slices};

use crate::played::{DAY_US, Played, SETTING, Setting, definitions, documents, event, rows, rows_counted_by};

fn record(played: &mut Played, partition: i32, line: &str) {
    let words: Vec<&str> = line.split_whitespace().collect();
    let (topic, value) = event(&words);
    played.record((topic, partition), value.as_bytes());
}

fn folded<'f>(facts: impl IntoIterator<Item = &'f Fact>) -> Fold {
    let mut fold = Fold::new(Only { sli: Some("tested".to_owned()), ..Only::default() });
    facts.into_iter().for_each(|fact| fold.add(0, fact).expect("it can be added"));
    fold
}

/// A producer that writes seconds in place of microseconds puts its events into 1970. Nothing rejects the first record of
/// a partition for being old, and whoever asks for slices afterwards must not get one for each hour since.
#[test]
fn one_event_of_1970_makes_no_half_a_million_slices() {
    let definitions = definitions("topic: requests, slice: 1h, traffic: {atLeastPerSec: 0.01}");
    let mut played = Played::new(SETTING, &definitions);
    let seconds = format!(r#"{{"ts":{},"service":"checkout"}}"#, DAY_US / 1_000_000);
    played.record((topics::REQUESTS, 0), seconds.as_bytes());
    record(&mut played, 0, "10:00:01 checkout 50ms ok");
    played.end();
    let sli = &definitions.slis["tested"];
    let (definitions, counted_by) = (&definitions, &BTreeMap::new());
    let slice = sli.good.slice().expect("slices");
    let slices = |from| Slices { name: "tested", sli, definitions, counted_by, slice, from, to: None };
    let refused = slices(None).rows(&played.fold()).expect_err("half a million");
    assert_eq!(
        refused.to_string(),
        "from 1970-01-01T00:00:00Z to 2026-01-05T11:00:00Z there are more than 200000 slices; take --from and --to \
         closer together"
    );
    let found = slices(Some(EventTime(DAY_US))).rows(&played.fold()).expect("a day");
    assert_eq!(found.iter().map(|row| row.events).sum::<u64>(), 1);
}

/// The identity of an SLI is its name: it may be measured by another topic from some day on, and is shown from that day.
#[test]
fn an_sli_that_moved_to_another_topic_is_covered_by_that_one() {
    let before = definitions("topic: resources, good: 'value >= 0.5'");
    let after = definitions("topic: scores, good: 'value >= 0.5'");
    let mut old = Played::new(SETTING, &before);
    record(&mut old, 0, "10:00:01 resources checkout cpu=0.75");
    record(&mut old, 0, "10:01:10 resources checkout cpu=0.75");
    let mut new = Played::new(SETTING, &after);
    record(&mut new, 0, "10:02:01 scores checkout satisfaction=0.75");
    record(&mut new, 0, "10:05:06 scores checkout satisfaction=0.75");
    let fold = folded(old.facts().iter().chain(new.facts()));
    let found: Vec<String> =
        rows(&after, &fold).iter().map(|row| format!("{} {}", row.events, row.verdict.as_str())).collect();
    assert_eq!(found, ["1 counted", "0 no traffic", "0 no traffic"]);
}

/// Partitions take new definitions up at different panes, so one pane may hold series under both.
#[test]
fn a_value_that_is_declared_from_now_on_is_folded_the_same_in_any_order() {
    let bounded = Setting { series_max: 1, ..SETTING };
    let before = definitions("topic: requests, good: status < 500, groupBy: {version: []}");
    let after = definitions("topic: requests, good: status < 500, groupBy: {version: ['1', '2']}");
    let play = |definitions, partition, version: &str| {
        let mut played = Played::new(bounded, definitions);
        record(&mut played, partition, &format!("10:00:01 checkout/x@{version} 50ms ok"));
        played.end();
        played.facts().to_vec()
    };
    let parts = [play(&before, 0, "1"), play(&before, 1, "2"), play(&after, 2, "1"), play(&after, 3, "2")];
    let panes = |order: [usize; 4]| -> Vec<String> {
        let fold = folded(order.iter().flat_map(|part| &parts[*part]));
        fold.panes().filter(|pane| pane.sli == "tested").map(|pane| pane.to_json()).collect()
    };
    assert_eq!(panes([0, 1, 2, 3]), panes([2, 3, 0, 1]));
}

/// What was lost may have been the only event that this SLI has ever had: then the slice is stale, and not without traffic.
#[test]
fn a_loss_before_the_first_event_leaves_freshness_in_doubt() {
    let definitions = definitions("topic: requests, slice: 1m, empty: good, freshness: {atMost: 1m}");
    let mut played = Played::new(SETTING, &definitions);
    for line in ["10:00:01 cart 5ms ok", "10:00:31 cart 5ms ok", "10:10:31 cart 5ms ok"] {
        record(&mut played, 0, line);
    }
    let mut facts = played.facts().to_vec();
    for fact in &mut facts {
        if let Fact::Frontier(frontier) = fact
            && frontier.batch == 1
        {
            frontier.lost.push((frontier.from, frontier.from));
        }
    }
    let found: Vec<String> = rows(&definitions, &folded(&facts))
        .iter()
        .map(|row| format!("{} {:?}", row.verdict.as_str(), row.good))
        .collect();
    assert!(!found[5].starts_with("no traffic"), "{found:#?}");
}

/// What was left out of the fold was not looked at: nothing may be said of it, least of all that there was no traffic.
#[test]
fn slices_of_a_service_that_the_fold_leaves_out_are_not_bad() {
    let definitions = definitions("topic: requests, slice: 1m, traffic: {atLeastPerSec: 0.01}");
    let mut played = Played::new(SETTING, &definitions);
    record(&mut played, 0, "10:00:01 checkout 50ms ok");
    record(&mut played, 0, "10:00:02 cart 50ms ok");
    played.end();
    let mut fold = Fold::new(Only { service: Some("cart".to_owned()), ..Only::default() });
    played.facts().iter().for_each(|fact| fold.add(0, fact).expect("it can be added"));
    let found: Vec<&str> = rows(&definitions, &fold).iter().map(|row| row.verdict.as_str()).collect();
    assert_eq!(found, Vec::<&str>::new());
}

/// Partitions take a new limit up at different panes, so that one pane holds counts under both: each part is asked in its
/// own way, and none of them counts as too slow only because it was not counted under the new limit.
#[test]
fn a_limit_that_partitions_take_up_at_different_panes_makes_nobody_slow() {
    let before = definitions("topic: requests, slice: 10s, percentile: {quantile: 0.9, atMostUs: 500000}");
    let after = definitions("topic: requests, slice: 10s, percentile: {quantile: 0.9, atMostUs: 300000}");
    let (mut old, mut new) = (Played::new(SETTING, &before), Played::new(SETTING, &after));
    for _ in 0..10 {
        record(&mut old, 0, "10:00:01 checkout 100ms ok");
    }
    record(&mut new, 1, "10:00:01 checkout 100ms ok");
    old.end();
    new.end();
    let fold = folded(old.facts().iter().chain(new.facts()));
    let found: Vec<String> = rows_counted_by(&after, SETTING.series_max, &[&before], &fold)
        .iter()
        .map(|row| format!("{:?} {}", row.value, row.verdict.as_str()))
        .collect();
    assert_eq!(found, [r#"Some("11/11") good"#]);
}

/// What was counted as a ratio has no latencies: nobody knows how many of its events were in time.
#[test]
fn slices_that_were_counted_as_a_ratio_are_not_bad_percentiles() {
    let before = definitions("topic: requests, good: status < 500");
    let after = definitions("topic: requests, slice: 1m, percentile: {quantile: 0.9, atMostUs: 300000}");
    let mut old = Played::new(SETTING, &before);
    record(&mut old, 0, "10:00:01 checkout 100ms ok");
    old.end();
    let found: Vec<&str> = rows_counted_by(&after, SETTING.series_max, &[&before], &folded(old.facts()))
        .iter()
        .map(|row| row.verdict.as_str())
        .collect();
    assert!(!found.contains(&"bad"), "{found:?}");
}

/// The same of values: there was traffic, only nobody knows of what values.
#[test]
fn slices_that_were_counted_by_their_counts_are_not_without_traffic() {
    let before = definitions("topic: scores, goodCount: good, totalCount: total");
    let after = definitions("topic: scores, slice: 1m, empty: good, mean: {atLeast: 0.5}");
    let mut old = Played::new(SETTING, &before);
    let score = r#""service":"checkout","metric":"m","value":0.25,"good":1,"total":4"#;
    old.record((topics::SCORES, 0), format!(r#"{{"ts":{DAY_US},{score}}}"#).as_bytes());
    old.end();
    let found: Vec<String> = rows_counted_by(&after, SETTING.series_max, &[&before], &folded(old.facts()))
        .iter()
        .map(|row| format!("{} {} {:?}", row.events, row.verdict.as_str(), row.good))
        .collect();
    assert!(!found.iter().any(|row| row.contains("no traffic")), "{found:?}");
}

/// A value that is declared from now on had no place of its own before: what was folded away then is no silence.
#[test]
fn a_value_that_was_folded_away_before_it_was_declared_is_not_without_traffic() {
    let bounded = Setting { series_max: 1, ..SETTING };
    let before = definitions("topic: requests, good: status < 500, groupBy: {version: []}");
    let after = definitions("topic: requests, good: status < 500, groupBy: {version: ['1', '2', '3']}");
    let mut old = Played::new(bounded, &before);
    for version in 1..=3 {
        record(&mut old, 0, &format!("10:00:01 checkout/x@{version} 50ms ok"));
    }
    old.end();
    let found: Vec<String> = rows_counted_by(&after, 1, &[&before], &folded(old.facts()))
        .iter()
        .map(|row| format!("{:?} {}", row.labels.get("version"), row.verdict.as_str()))
        .collect();
    assert!(!found.iter().any(|row| row.contains("no traffic")), "{found:#?}");
}

/// A new generation begins its chain anew, and its definitions apply from the beginning of time: they are the newest.
#[test]
fn definitions_of_a_new_generation_are_the_newest() {
    let before = definitions("topic: requests, good: status < 500");
    let after = definitions("topic: requests, good: status < 400");
    let facts = |definitions| {
        let mut played = Played::new(SETTING, definitions);
        record(&mut played, 0, "10:00:01 checkout 50ms ok");
        played.end();
        played.facts().to_vec()
    };
    let (mut old, mut new) = (facts(&before), facts(&after));
    for fact in &mut old {
        if let Fact::Frontier(frontier) = fact {
            // The definitions of the first generation had been changed once.
            frontier.bundle_start = EventTime(DAY_US);
        }
    }
    for fact in &mut new {
        match fact {
            Fact::Frontier(frontier) => frontier.generation = 1,
            Fact::Delta(delta) => delta.generation = 1,
        }
    }
    let newest = folded(&new).coverage().bundle().map(str::to_owned);
    assert_eq!(folded(old.iter().chain(&new)).coverage().bundle(), newest.as_deref());
}

/// Silence of a declared series is bad for `traffic`, however many are declared.
#[test]
fn many_declared_series_are_listed_as_few_are() {
    let silent = |count: usize| {
        let values = |prefix: &str| (0..count).map(|n| format!("{prefix}{n}")).collect::<Vec<_>>().join(", ");
        let labels = format!("groupBy: {{version: [{}], route: [{}]}}", values("v"), values("r"));
        let spec = format!("topic: requests, slice: 10s, traffic: {{atLeastPerSec: 0.1}}, {labels}");
        let definitions = definitions(&spec);
        let mut played = Played::new(SETTING, &definitions);
        record(&mut played, 0, "10:00:01 checkout/r0@v0 50ms ok");
        played.end();
        rows(&definitions, &played.fold()).iter().filter(|row| row.events == 0).count()
    };
    assert_eq!(silent(2), 2 * 2);
    assert_eq!(silent(31), 31 * 31);
}

/// A threshold that a part of a window was not counted by has no exact count there.
#[test]
fn a_window_tells_no_count_of_a_threshold_that_only_a_part_of_it_was_counted_by() {
    let limit = |us: u32| definitions(&format!("topic: requests, latencyThresholdUs: {us}"));
    let (mut old, mut new) = (Played::new(SETTING, &limit(500_000)), Played::new(SETTING, &limit(300_000)));
    record(&mut old, 0, "10:00:01 checkout 100ms ok");
    record(&mut new, 1, "10:00:11 checkout 100ms ok");
    old.end();
    new.end();
    let query = Query {
        length_us: 60_000_000,
        by: None,
        sli: Some("tested".to_owned()),
        service: None,
        from: None,
        to: None,
        levels: Vec::new(),
    };
    let windows = query.windows(&folded(old.facts().iter().chain(new.facts()))).expect("whole panes");
    // Both events were within either threshold.
    let wrong: Vec<_> = windows[0].le.iter().filter(|at| at.count != 2).collect();
    assert!(wrong.is_empty(), "{wrong:?} of {}", windows[0].total);
}

/// Another topic of requests says nothing about `requests`, of which no record has been counted yet.
#[test]
fn a_topic_that_was_never_counted_is_not_covered_by_another_of_its_kind() {
    let edge = "---\napiVersion: openslo/v1\nkind: DataSource\nmetadata: {name: edge}\nspec: {type: streamgauge, \
                connectionDetails: {topic: edge, event: request}}\n";
    let text = documents("topic: requests, slice: 10s, traffic: {atLeastPerSec: 0.1}") + edge;
    let definitions = Definitions::of_text("test.yaml", &text).expect("valid definitions");
    let mut played = Played::new(SETTING, &definitions);
    played.record(("edge", 0), format!(r#"{{"ts":{DAY_US},"service":"cart"}}"#).as_bytes());
    played.end();
    let found: Vec<&str> = rows(&definitions, &played.fold()).iter().map(|row| row.verdict.as_str()).collect();
    assert!(!found.contains(&"bad"), "{found:?}");
}

/// What was counted by version was not counted as a whole, and is no silence of the whole.
#[test]
fn slices_that_were_counted_by_other_labels_are_not_silent() {
    let before = definitions("topic: requests, slice: 10s, traffic: {atLeastPerSec: 0.1}, groupBy: {version: []}");
    let after = definitions("topic: requests, slice: 10s, traffic: {atLeastPerSec: 0.1}");
    let mut old = Played::new(SETTING, &before);
    record(&mut old, 0, "10:00:01 checkout/x@1 50ms ok");
    old.end();
    let found: Vec<String> = rows_counted_by(&after, SETTING.series_max, &[&before], &folded(old.facts()))
        .iter()
        .map(|row| format!("{:?} {} {}", row.labels, row.events, row.verdict.as_str()))
        .collect();
    assert!(!found.iter().any(|row| row.contains("0 bad")), "{found:?}");
}
