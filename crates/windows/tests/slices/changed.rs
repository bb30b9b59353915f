//! What stays true when definitions or clocks change under an SLI.

use streamgauge_events::{EventTime, Fact, topics};
use streamgauge_windows::{Fold, Only, Slices};

use crate::played::{DAY_US, Played, SETTING, Setting, definitions, event, rows};

fn record(played: &mut Played, partition: i32, line: &str) {
    let words: Vec<&str> = line.split_whitespace().collect();
    let (topic, value) = event(&words);
    played.record((topic, partition), value.as_bytes());
}

fn folded<'f>(facts: impl IntoIterator<Item = &'f Fact>) -> Fold {
    let mut fold = Fold::new(Only::default());
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
    let slices = |from| Slices { name: "tested", sli, slice: sli.good.slice().expect("slices"), from, to: None };
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
