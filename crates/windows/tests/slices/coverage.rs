//! "No traffic", "no coverage" and "good" are three answers, and late records restate slices.

use expect_test::{Expect, expect};

use crate::played::{SETTING, check};

/// A minute with events, a minute of silence, a minute with events.
const REQUESTS: &str = "
    10:00:01 checkout 50ms ok
    10:01:30 cart 50ms ok
    10:02:01 checkout 50ms ok
    end
";
const SAMPLES: &str = "
    10:00:01 resources checkout cpu=0.5
    10:01:30 resources cart cpu=0.5
    10:02:01 resources checkout cpu=0.5
    end
";
const SCORES: &str = "
    10:00:01 scores checkout satisfaction=4
    10:01:30 scores cart satisfaction=4
    10:02:01 scores checkout satisfaction=4
    end
";

#[track_caller]
fn check_empty(rule: &str, lines: &str, expected: [Expect; 3]) {
    for (empty, expected) in ["ignore", "good", "bad"].into_iter().zip(expected) {
        check(&format!("slice: 1m, empty: {empty}, {rule}"), lines, expected);
    }
}

#[test]
fn an_empty_slice_of_a_percentile_is_what_the_definition_says() {
    check_empty(
        "topic: requests, percentile: {quantile: 0.99, atMostUs: 100000}",
        REQUESTS,
        [
            expect![[r#"
            start     events  value  verdict     counts
            10:00:00  1       1/1    good        1 of 1
            10:01:00  0       -      no traffic  -
            10:02:00  1       1/1    good        1 of 1
        "#]],
            expect![[r#"
            start     events  value  verdict     counts
            10:00:00  1       1/1    good        1 of 1
            10:01:00  0       -      no traffic  1 of 1
            10:02:00  1       1/1    good        1 of 1
        "#]],
            expect![[r#"
            start     events  value  verdict     counts
            10:00:00  1       1/1    good        1 of 1
            10:01:00  0       -      no traffic  0 of 1
            10:02:00  1       1/1    good        1 of 1
        "#]],
        ],
    );
}

#[test]
fn an_empty_slice_of_a_mean_is_what_the_definition_says() {
    check_empty(
        "topic: scores, mean: {atLeast: 4}",
        SCORES,
        [
            expect![[r#"
        start     events  value  verdict     counts
        10:00:00  1       4      good        1 of 1
        10:01:00  0       -      no traffic  -
        10:02:00  1       4      good        1 of 1
    "#]],
            expect![[r#"
        start     events  value  verdict     counts
        10:00:00  1       4      good        1 of 1
        10:01:00  0       -      no traffic  1 of 1
        10:02:00  1       4      good        1 of 1
    "#]],
            expect![[r#"
        start     events  value  verdict     counts
        10:00:00  1       4      good        1 of 1
        10:01:00  0       -      no traffic  0 of 1
        10:02:00  1       4      good        1 of 1
    "#]],
        ],
    );
}

#[test]
fn an_empty_slice_of_saturation_is_what_the_definition_says() {
    check_empty(
        "topic: resources, saturation: {aggregate: max, atMost: 0.8}",
        SAMPLES,
        [
            expect![[r#"
            start     events  value  verdict     counts
            10:00:00  1       0.5    good        1 of 1
            10:01:00  0       -      no traffic  -
            10:02:00  1       0.5    good        1 of 1
        "#]],
            expect![[r#"
            start     events  value  verdict     counts
            10:00:00  1       0.5    good        1 of 1
            10:01:00  0       -      no traffic  1 of 1
            10:02:00  1       0.5    good        1 of 1
        "#]],
            expect![[r#"
            start     events  value  verdict     counts
            10:00:00  1       0.5    good        1 of 1
            10:01:00  0       -      no traffic  0 of 1
            10:02:00  1       0.5    good        1 of 1
        "#]],
        ],
    );
}

#[test]
fn an_empty_minute_of_events_is_no_traffic() {
    check(
        "topic: requests, good: status < 500",
        REQUESTS,
        expect![[r#"
        start     events  value  verdict     counts
        10:00:00  1       1/1    counted     -
        10:01:00  0       -      no traffic  -
        10:02:00  1       1/1    counted     -
    "#]],
    );
}

#[test]
fn a_slice_that_the_pipeline_has_not_passed_has_no_coverage() {
    // Counted up to 10:01:50, since 5 s of disorder are waited for.
    check(
        "topic: requests, slice: 1m, traffic: {atLeastPerSec: 0.01}",
        "
        10:00:01 checkout 50ms ok
        10:01:57 checkout 50ms ok
        ",
        expect![[r#"
            start     events  value     verdict      counts
            10:00:00  1       0.016666  good         1 of 1
            10:01:00  0       0         no coverage  -
        "#]],
    );
    // The same after the partition has been silent for a while.
    check(
        "topic: requests, slice: 1m, traffic: {atLeastPerSec: 0.01}",
        "
        10:00:01 checkout 50ms ok
        10:01:57 checkout 50ms ok
        idle 10:03:25
        ",
        expect![[r#"
            start     events  value     verdict      counts
            10:00:00  1       0.016666  good         1 of 1
            10:01:00  1       0.016666  good         1 of 1
            10:02:00  0       0         bad          0 of 1
            10:03:00  0       0         no coverage  -
        "#]],
    );
}

#[test]
fn one_partition_that_is_behind_holds_back_the_verdicts() {
    check(
        "topic: requests, slice: 1m, empty: bad, percentile: {quantile: 0.5, atMostUs: 100000}",
        "
        10:00:01 checkout 50ms ok
        p1 10:00:02 checkout 500ms ok
        10:05:00 checkout 50ms ok
        p1 10:01:10 checkout 50ms ok
        ",
        expect![[r#"
            start     events  value  verdict  counts
            10:00:00  2       1/2    good     1 of 1
        "#]],
    );
}

#[test]
fn another_topic_that_is_behind_does_not() {
    check(
        "topic: scores, slice: 1m, mean: {atLeast: 4}",
        "
        10:00:01 scores checkout satisfaction=4
        10:00:01 checkout 50ms ok
        10:01:10 scores checkout satisfaction=4
        ",
        expect![[r#"
            start     events  value  verdict  counts
            10:00:00  1       4      good     1 of 1
        "#]],
    );
}

#[test]
fn a_missing_batch_is_no_coverage_and_not_bad() {
    check(
        "topic: requests, slice: 1m, empty: bad, percentile: {quantile: 0.5, atMostUs: 100000}",
        "
        10:00:01 checkout 50ms ok
        10:01:01 checkout 50ms ok
        10:02:01 checkout 50ms ok
        10:03:01 checkout 50ms ok
        end
        drop batch 2
        ",
        expect![[r#"
            start     events  value  verdict      counts
            10:00:00  1       1/1    no coverage  -       hole
            10:01:00  0       -      no coverage  -       hole
            10:02:00  1       1/1    no coverage  -       hole
            10:03:00  1       1/1    good         1 of 1
        "#]],
    );
}

#[test]
fn lost_records_are_no_coverage_and_not_bad() {
    check(
        "topic: requests, slice: 1m, traffic: {atLeastPerSec: 0.01}",
        "
        10:00:01 checkout 50ms ok
        10:01:01 checkout 50ms ok
        10:02:01 checkout 50ms ok
        10:03:01 checkout 50ms ok
        end
        lost before batch 3
        ",
        expect![[r#"
            start     events  value     verdict      counts
            10:00:00  1       0.016666  good         1 of 1
            10:01:00  1       0.016666  no coverage  -       lost
            10:02:00  1       0.016666  no coverage  -       lost
            10:03:00  1       0.016666  good         1 of 1
        "#]],
    );
}

#[test]
fn late_events_restate_a_slice() {
    let spec = "topic: requests, slice: 1m, percentile: {quantile: 0.5, atMostUs: 100000}";
    let in_time = "
        10:00:01 checkout 50ms ok
        10:02:01 checkout 50ms ok
    ";
    let late = "
        10:00:02 checkout 500ms ok
        10:00:03 checkout 500ms ok
    ";
    check(
        spec,
        &format!("{in_time} end"),
        expect![[r#"
        start     events  value  verdict     counts
        10:00:00  1       1/1    good        1 of 1
        10:01:00  0       -      no traffic  -
        10:02:00  1       1/1    good        1 of 1
    "#]],
    );
    check(
        spec,
        &format!("{in_time} {late} end"),
        expect![[r#"
        start     events  value  verdict     counts
        10:00:00  3       1/3    bad         0 of 1
        10:01:00  0       -      no traffic  -
        10:02:00  1       1/1    good        1 of 1
    "#]],
    );
}

#[test]
fn how_batches_are_cut_changes_no_slice() {
    let lines = "
        10:00:01 checkout/a 50ms ok
        10:00:02 checkout/b 500ms ok
        10:00:03 checkout/c 50ms error
        10:01:02 checkout/a 500ms ok
        10:00:04 checkout/d 50ms ok
        end
    ";
    let spec = "topic: requests, slice: 1m, percentile: {quantile: 0.5, atMostUs: 100000}";
    let whole = SETTING.table(spec, spec, lines);
    let torn = crate::played::Setting { cells_max: 1, ..SETTING }.table(spec, spec, lines);
    assert_eq!(whole, torn);
}

#[test]
fn a_changed_objective_judges_the_same_facts_anew() {
    let counted_by = "topic: scores, slice: 1m, mean: {atLeast: 4}";
    let lines = "
        10:00:01 scores checkout satisfaction=3
        10:01:01 scores checkout satisfaction=5
        10:03:01 scores checkout satisfaction=5
        end
    ";
    let judged = |by: &str| SETTING.table(counted_by, by, lines);
    expect![[r#"
        start     events  value  verdict     counts
        10:00:00  1       3      bad         0 of 1
        10:01:00  1       5      good        1 of 1
        10:02:00  0       -      no traffic  -
        10:03:00  1       5      good        1 of 1
    "#]]
    .assert_eq(&judged(counted_by));
    expect![[r#"
        start     events  value  verdict     counts
        10:00:00  1       3      good        1 of 1
        10:01:00  1       5      good        1 of 1
        10:02:00  0       -      no traffic  -
        10:03:00  1       5      good        1 of 1
    "#]]
    .assert_eq(&judged("topic: scores, slice: 1m, mean: {atLeast: 2.5}"));
    expect![[r#"
        start     events  value  verdict  counts
        10:00:00  2       4      good     1 of 1
        10:02:00  1       5      good     1 of 1
    "#]]
    .assert_eq(&judged("topic: scores, slice: 2m, empty: good, mean: {atLeast: 4}"));
}

#[test]
fn another_threshold_is_answered_by_the_histogram() {
    let counted_by = "topic: requests, slice: 1m, percentile: {quantile: 0.5, atMostUs: 100000}";
    let lines = "
        10:00:01 checkout 50ms ok
        10:00:02 checkout 150ms ok
        10:00:03 checkout 160500us ok
        10:01:01 checkout 159800us ok
        10:01:02 checkout 160500us ok
        10:01:03 checkout 160500us error
        10:02:01 checkout 160ms error
        end
    ";
    let judged = |by: &str| SETTING.table(counted_by, by, lines);
    expect![[r#"
        start     events  value  verdict  counts
        10:00:00  3       1/3    bad      0 of 1
        10:01:00  3       0/3    bad      0 of 1
        10:02:00  1       0/1    bad      0 of 1
    "#]]
    .assert_eq(&judged(counted_by));
    expect![[r#"
        start     events  value  verdict  counts
        10:00:00  3       2/3    good     1 of 1
        10:01:00  3       0/3    bad      0 of 1
        10:02:00  1       0/1    bad      0 of 1
    "#]]
    .assert_eq(&judged("topic: requests, slice: 1m, percentile: {quantile: 0.5, atMostUs: 155000}"));
    // One counter holds all from 159,744 to 160,767 us: what lies in it, nobody can tell apart.
    expect![[r#"
        start     events  value   verdict  counts
        10:00:00  3       2..3/3  good     1 of 1
        10:01:00  3       0..2/3  unknown  -
        10:02:00  1       0/1     bad      0 of 1
    "#]]
    .assert_eq(&judged("topic: requests, slice: 1m, percentile: {quantile: 0.5, atMostUs: 160000}"));
}
