//! Facts by hand, and what becomes of them: grid points, counts, what waits.

use crate::support::facts::{Chain, at_or_under, json_of, number_of, point, with_values};
use crate::support::promises::{SLIS, THRESHOLD_US, definitions};
use expect_test::{Expect, expect};
use streamgauge_events::{Cause, EventTime, Fact, Offset};
use streamgauge_stage_slo::Objectives;

/// A line a fact: `2 answers 5 90/100` is a delta of partition 2 for pane 5, 90 of 100 good; `2 until 7 of 3` ends its batch
/// at grid point 7, with 3 partitions announced; `lost` and `over` may follow; `2 skips` leaves a batch out. Behind each
/// frontier: how many grid points were evaluated, up to which, and where the objective stands.
fn check(slo: &str, facts: &str, expected: Expect) {
    let definitions = definitions(Some(&[slo]));
    let (name, _, topic, _) =
        SLIS.into_iter().find(|(name, ..)| *name == definitions.slos[slo].indicator).expect("known");
    let mut objectives = Objectives::new(&definitions, &|_| topic.to_owned()).expect("it can be followed");
    let mut chains: Vec<Chain> = (0..4).map(|partition| Chain::new(topic, partition)).collect();
    let mut told = String::new();
    for (offset, line) in facts.lines().map(str::trim).filter(|line| !line.is_empty()).enumerate() {
        let words: Vec<&str> = line.split(' ').collect();
        let chain = &mut chains[words[0].parse::<usize>().expect("a partition")];
        let fact = match words[1] {
            "skips" => {
                chain.skip_batch();
                continue;
            }
            "until" => Fact::Frontier(frontier(chain, &words)),
            tenant => Fact::Delta(delta(chain, name, tenant, &words)),
        };
        let hole = objectives.observe(offset as Offset, &json_of(&fact)).expect("a fact");
        let mut transitions = Vec::new();
        let points = objectives.advance(&mut |record| {
            transitions.push(format!(" {} {} at {}", record.rule, record.transition.as_str(), number_of(record.at)));
        });
        if let Fact::Frontier(_) = fact {
            let at = objectives.evaluated_until().into_values().next().map(number_of);
            let at = at.map_or(String::new(), |at| format!(" to {at}"));
            told.push_str(&format!("{line}: {points} points{at}"));
            for standing in objectives.standings().iter().filter(|standing| standing.span.is_some()) {
                let tenant = &standing.tenant;
                told.push_str(&format!("; {tenant}{} of {} bad", standing.counted.bad, standing.counted.total));
            }
            if objectives.waiting() > 0 {
                told.push_str(&format!("; {} wait", objectives.waiting()));
            }
            told.push_str(&hole.map_or(String::new(), |hole| format!("; {hole}")));
            told.push('\n');
        }
        transitions.into_iter().for_each(|line| told.push_str(&format!("{line}\n")));
    }
    expected.assert_eq(&told);
}

fn delta(chain: &Chain, sli: &str, tenant: &str, words: &[&str]) -> streamgauge_events::Delta {
    let pane = words[2].parse().expect("a pane");
    let service = SLIS.iter().find(|(name, ..)| *name == sli).expect("known").1;
    let mut delta = chain.delta(sli, service, pane, 0, 0);
    if tenant != "-" {
        delta.tenant = tenant.to_owned();
    }
    match words[3].split_once('/') {
        Some((good, n)) => {
            (delta.good, delta.n) = (good.parse().expect("a number"), n.parse().expect("a number"));
            let in_time = delta.good;
            at_or_under(&mut delta, THRESHOLD_US, in_time);
        }
        None => with_values(&mut delta, &[words[3].parse().expect("millionths")]),
    }
    delta
}

fn frontier(chain: &mut Chain, words: &[&str]) -> streamgauge_events::Frontier {
    let roster = words.iter().position(|word| *word == "of").map(|at| words[at + 1].parse().expect("partitions"));
    let is_over = words[2] == "over";
    let until = if is_over { EventTime::AFTER_ALL } else { point(words[2].parse().expect("a grid point")) };
    let mut frontier = chain.frontier(until, roster);
    if is_over {
        frontier.cause = Cause::End;
    }
    if words.contains(&"lost") {
        frontier.lost = vec![(frontier.from, frontier.from + 1)];
    }
    frontier
}

#[test]
fn a_partition_that_lags_holds_the_others_back() {
    check(
        "answers-day",
        "
        0 - 0 90/100
        0 until 5 of 2
        1 until 2
        1 - 2 10/10
        1 until 4
    ",
        expect![[r#"
        0 until 5 of 2: 0 points; 1 wait
        1 until 2: 2 points to 2; 10 of 100 bad
        1 until 4: 2 points to 4; 10 of 110 bad
    "#]],
    );
}

#[test]
fn what_is_late_counts_from_its_own_batch_on() {
    check(
        "answers-day",
        "
        0 - 0 90/100
        0 until 3 of 1
        0 - 1 0/5
        0 until 3
        0 until 4
    ",
        expect![[r#"
        0 until 3 of 1: 3 points to 3; 10 of 100 bad
        0 until 3: 0 points to 3; 10 of 100 bad; 1 wait
        0 until 4: 1 points to 4; 15 of 105 bad
    "#]],
    );
}

#[test]
fn a_batch_may_hold_panes_that_are_still_open() {
    check(
        "answers-day",
        "
        0 - 0 90/100
        0 - 4 0/1
        0 until 3 of 1
        0 - 3 0/10
        0 until 4
        0 until 5
    ",
        expect![[r#"
        0 until 3 of 1: 3 points to 3; 10 of 100 bad; 1 wait
        0 until 4: 1 points to 4; 20 of 110 bad; 1 wait
         burn-144m-12m fired at 4
        0 until 5: 1 points to 5; 21 of 111 bad
    "#]],
    );
}

#[test]
fn a_partition_counts_from_when_it_is_listed() {
    check(
        "answers-day",
        "
        0 - 0 90/100
        0 until 3 of 1
        1 - 0 0/7
        1 - 2 0/1
        0 until 6 of 2
        1 - 1 0/2
        1 until 4
        1 until 6
    ",
        expect![[r#"
        0 until 3 of 1: 3 points to 3; 10 of 100 bad
        0 until 6 of 2: 0 points to 3; 10 of 100 bad; 2 wait
        1 until 4: 1 points to 4; 20 of 110 bad
         burn-144m-12m fired at 4
        1 until 6: 2 points to 6; 20 of 110 bad
    "#]],
    );
}

#[test]
fn time_goes_on_in_silence() {
    check(
        "answers-day",
        "
        0 - 0 90/100
        0 until 2 of 1
        0 until 30
        0 until 361
        0 until 719
        0 until 720
        0 until 1440
        0 - 1438 5/5
        0 until 1441
    ",
        expect![[r#"
            0 until 2 of 1: 2 points to 2; 10 of 100 bad
            0 until 30: 28 points to 30; 10 of 100 bad
             absence fired at 7
            0 until 361: 331 points to 361; 10 of 100 bad
            0 until 719: 0 points to 361; 10 of 100 bad
            0 until 720: 1 points to 720; 10 of 100 bad
            0 until 1440: 2 points to 1440; 10 of 100 bad
            0 until 1441: 1 points to 1441; 10 of 105 bad
             absence resolved at 1441
        "#]],
    );
}

#[test]
fn the_end_of_a_bounded_input_is_its_last_pane() {
    check(
        "answers-day",
        "
        0 - 0 90/100
        0 until 1 of 2
        1 - 3 1/1
        1 until over
        0 until over
    ",
        expect![[r#"
        0 until 1 of 2: 0 points; 1 wait
        1 until over: 1 points to 1; 10 of 100 bad; 1 wait
        0 until over: 3 points to 4; 10 of 101 bad
    "#]],
    );
}

#[test]
fn where_one_input_came_further_the_other_does_too() {
    check(
        "answers-day",
        "
        0 - 0 90/100
        0 until 1 of 2
        1 until over
        0 until 7
        0 until over
    ",
        expect![[r#"
            0 until 1 of 2: 0 points; 1 wait
            1 until over: 1 points to 1; 10 of 100 bad
            0 until 7: 6 points to 7; 10 of 100 bad
             absence fired at 7
            0 until over: 0 points to 7; 10 of 100 bad
        "#]],
    );
}

#[test]
fn where_one_input_came_further_its_end_may_be_read_first() {
    check(
        "answers-day",
        "
        1 until 7
        1 until over
        0 - 0 90/100
        0 until 1 of 2
        0 until over
    ",
        expect![[r#"
            1 until 7: 0 points
            1 until over: 0 points
            0 until 1 of 2: 1 points to 1; 10 of 100 bad
            0 until over: 6 points to 7; 10 of 100 bad
             absence fired at 7
        "#]],
    );
}

#[test]
fn a_batch_that_is_missing_is_told_and_left_out() {
    check(
        "speed-day",
        "
        0 - 0 0/10
        0 until 6 of 1
        0 skips
        0 - 7 0/10
        0 until 12
        0 - 13 0/10
        0 until 18
    ",
        expect![[r#"
        0 until 6 of 1: 6 points to 6; 1 of 1 bad
        0 until 12: 6 points to 12; 1 of 1 bad; requests/0: batch 2 follows batch 0; offsets 10 to 20 are in no batch
        0 until 18: 6 points to 18; 2 of 2 bad
    "#]],
    );
}

#[test]
fn what_was_lost_leaves_its_slices_uncovered() {
    check(
        "speed-day",
        "
        0 - 0 0/10
        0 until 6 of 1
        0 - 6 0/10
        0 until 9 lost
        0 - 12 0/10
        0 until 18
    ",
        expect![[r#"
        0 until 6 of 1: 6 points to 6; 1 of 1 bad
        0 until 9 lost: 3 points to 9; 1 of 1 bad
        0 until 18: 9 points to 18; 2 of 2 bad
    "#]],
    );
}

#[test]
fn what_a_partition_lost_before_it_is_listed_does_not_show() {
    check(
        "speed-day",
        "
        1 until 8 lost
        0 - 0 0/10
        0 until 6 of 1
        0 - 6 0/10
        0 until 12 of 2
        1 until 12
    ",
        expect![[r#"
        1 until 8 lost: 0 points
        0 until 6 of 1: 6 points to 6; 1 of 1 bad
        0 until 12 of 2: 2 points to 8; 1 of 1 bad
        1 until 12: 4 points to 12; 1 of 1 bad
    "#]],
    );
}

#[test]
fn a_percentile_judges_slices() {
    check(
        "speed-day",
        "
        0 - 0 9/10
        0 until 6 of 1
        0 - 6 89/100
        0 until 12
        0 - 7 11/11
        0 until 18
    ",
        expect![[r#"
        0 until 6 of 1: 6 points to 6; 0 of 1 bad
        0 until 12: 6 points to 12; 1 of 2 bad
        0 until 18: 6 points to 18; 0 of 2 bad
    "#]],
    );
}

#[test]
fn a_mean_is_that_of_all_values_and_silence_is_good() {
    check(
        "tone-hour",
        "
        0 - 0 400000
        0 - 1 600000
        0 until 3 of 1
        0 - 3 499999
        0 until 6
        0 until 9
    ",
        expect![[r#"
        0 until 3 of 1: 3 points to 3; 0 of 1 bad
        0 until 6: 3 points to 6; 1 of 2 bad
        0 until 9: 3 points to 9; 1 of 3 bad
    "#]],
    );
}

#[test]
fn freshness_goes_by_the_newest_event_of_any_slice() {
    check(
        "fresh-hour",
        "
        0 - 0 1/1
        0 until 3 of 1
        0 until 6
        0 until 9
        0 until 12
        0 - 6 1/1
        0 until 13
    ",
        expect![[r#"
        0 until 3 of 1: 3 points to 3; 0 of 1 bad
        0 until 6: 3 points to 6; 0 of 2 bad
        0 until 9: 3 points to 9; 1 of 3 bad
        0 until 12: 3 points to 12; 2 of 4 bad
        0 until 13: 1 points to 13; 0 of 4 bad
    "#]],
    );
}

#[test]
fn slices_older_than_the_first_pane_count_when_they_come() {
    check(
        "speed-day",
        "
        0 - 8 10/10
        0 until 9 of 1
        0 - 1 0/10
        0 until 9
        0 until 12
    ",
        expect![[r#"
        0 until 9 of 1: 1 points to 9; 0 of 0 bad
        0 until 9: 0 points to 9; 0 of 0 bad; 1 wait
        0 until 12: 3 points to 12; 1 of 2 bad
    "#]],
    );
}

#[test]
fn tenants_have_budgets_of_their_own() {
    check(
        "answers-day",
        "
        0 a 0 90/100
        0 b 0 1/2
        0 until 1 of 1
        0 b 1 2/2
        0 until 2
    ",
        expect![[r#"
        0 until 1 of 1: 1 points to 1; a10 of 100 bad; b1 of 2 bad
        0 until 2: 1 points to 2; a10 of 100 bad; b1 of 4 bad
    "#]],
    );
}

#[test]
fn a_total_outage_fires_and_resolves() {
    check(
        "answers-hour",
        "
        0 - 0 1000/1000
        0 until 1 of 1
        0 - 1 0/1000
        0 until 2
        0 - 2 1000/1000
        0 until 3
        0 - 3 1000/1000
        0 - 4 1000/1000
        0 until 5
        0 until 20
    ",
        expect![[r#"
            0 until 1 of 1: 1 points to 1; 0 of 1000 bad
            0 until 2: 1 points to 2; 1000 of 2000 bad
             burn-10s-10s fired at 2
             burn-30s-10s fired at 2
             burn-2m-10s fired at 2
             burn-6m-30s fired at 2
            0 until 3: 1 points to 3; 1000 of 3000 bad
             burn-10s-10s resolved at 3
             burn-30s-10s resolved at 3
             burn-2m-10s resolved at 3
            0 until 5: 2 points to 5; 1000 of 5000 bad
             burn-6m-30s resolved at 5
            0 until 20: 15 points to 20; 1000 of 5000 bad
             absence fired at 11
        "#]],
    );
}
