//! Kinds that judge slices by latencies, by how many events there are, and by how old the newest is.

use expect_test::expect;

use crate::played::check;

#[test]
fn a_percentile_holds_from_the_ceiling_of_its_share_on() {
    // ceil(0.9 * 10) = 9 of 10; ceil(0.9 * 11) = 10 of 11, so 9 of 11 are too few.
    let fast = |minute: u8, count: u8| -> String {
        (0..count).map(|second| format!("10:0{minute}:{second:02} checkout 100ms ok\n")).collect()
    };
    let lines = [
        fast(0, 9),
        "10:00:30 checkout 100001us ok\n".to_owned(),
        fast(1, 9),
        "10:01:30 checkout 200ms ok\n10:01:31 checkout 200ms ok\n".to_owned(),
        fast(2, 10),
        "10:02:31 checkout 200ms ok\nend".to_owned(),
    ];
    check(
        "topic: requests, slice: 1m, percentile: {quantile: 0.9, atMostUs: 100000}",
        &lines.concat(),
        expect![[r#"
            start     events  value  verdict  counts
            10:00:00  10      9/10   good     1 of 1
            10:01:00  11      9/11   bad      0 of 1
            10:02:00  11      10/11  good     1 of 1
        "#]],
    );
}

#[test]
fn failed_requests_count_in_the_percentile_and_are_never_in_time() {
    check(
        "topic: requests, slice: 1m, percentile: {quantile: 0.5, atMostUs: 100000}",
        "
        10:00:01 checkout 1ms error
        10:00:02 checkout 1ms ok
        10:01:01 checkout 1ms error
        10:01:02 checkout 1ms error
        10:01:03 checkout 1ms ok
        10:02:01 checkout - ok
        10:02:02 checkout 1ms ok
        10:03:01 checkout - ok
        end
        ",
        expect![[r#"
            start     events  value  verdict   counts
            10:00:00  2       1/2    good      1 of 1
            10:01:00  3       1/3    bad       0 of 1
            10:02:00  2       1/1    good      1 of 1  1 unjudged
            10:03:00  1       -      unjudged  -       1 unjudged
        "#]],
    );
}

#[test]
fn traffic_within_bounds_and_silence_is_a_rate_of_zero() {
    let lines = "
        10:00:01 checkout - ok
        10:00:02 checkout - error
        10:00:03 checkout - ?
        10:01:01 checkout - ok
        10:03:01 checkout - ok
        10:03:02 checkout - ok
        10:03:03 checkout - ok
        10:03:04 checkout - ok
        10:03:05 checkout - ok
        10:03:06 checkout - ok
        end
    ";
    // 3 in 60 s are 0.05 a second, and 6 are 0.1.
    check(
        "topic: requests, slice: 1m, traffic: {atLeastPerSec: 0.05}",
        lines,
        expect![[r#"
        start     events  value     verdict  counts
        10:00:00  3       0.05      good     1 of 1
        10:01:00  1       0.016666  bad      0 of 1
        10:02:00  0       0         bad      0 of 1
        10:03:00  6       0.1       good     1 of 1
    "#]],
    );
    check(
        "topic: requests, slice: 1m, traffic: {atMostPerSec: 0.05}",
        lines,
        expect![[r#"
        start     events  value     verdict  counts
        10:00:00  3       0.05      good     1 of 1
        10:01:00  1       0.016666  good     1 of 1
        10:02:00  0       0         good     1 of 1
        10:03:00  6       0.1       bad      0 of 1
    "#]],
    );
    check(
        "topic: requests, slice: 1m, traffic: {atLeastPerSec: 0.016667, atMostPerSec: 0.099999}",
        lines,
        expect![[r#"
            start     events  value     verdict  counts
            10:00:00  3       0.05      good     1 of 1
            10:01:00  1       0.016666  bad      0 of 1
            10:02:00  0       0         bad      0 of 1
            10:03:00  6       0.1       bad      0 of 1
        "#]],
    );
}

#[test]
fn traffic_counts_events_of_any_kind() {
    check(
        "topic: scores, filter: metric == 'satisfaction', slice: 1m, traffic: {atLeastPerSec: 0.03}",
        "
        10:00:01 scores checkout satisfaction=4
        10:00:02 audit checkout satisfaction=90/100
        10:00:03 scores checkout other=4
        10:01:01 audit checkout satisfaction=90/100
        end
        ",
        expect![[r#"
            start     events  value     verdict  counts
            10:00:00  2       0.033333  good     1 of 1
            10:01:00  1       0.016666  bad      0 of 1
        "#]],
    );
}

#[test]
fn freshness_is_the_age_of_the_newest_event_at_the_end_of_the_slice() {
    check(
        "topic: resources, filter: metric == 'backup', slice: 1m, freshness: {atMost: 90s}",
        "
        10:00:30 resources checkout backup=1
        10:00:29 resources checkout backup=1
        10:04:00 resources checkout backup=1
        10:04:59 resources checkout other=1
        10:06:00 resources checkout other=1
        end
        ",
        expect![[r#"
            start     events  value      verdict  counts
            10:00:00  2       30000000   good     1 of 1
            10:01:00  0       90000000   good     1 of 1
            10:02:00  0       150000000  bad      0 of 1
            10:03:00  0       210000000  bad      0 of 1
            10:04:00  1       60000000   good     1 of 1
            10:05:00  0       120000000  bad      0 of 1
            10:06:00  0       180000000  bad      0 of 1
        "#]],
    );
}

#[test]
fn where_nothing_was_ever_heard_there_is_no_age() {
    for (empty, expected) in [
        (
            "ignore",
            expect![[r#"
            start     events  value     verdict     counts
            10:00:00  0       -         no traffic  -
            10:01:00  0       -         no traffic  -
            10:02:00  1       30000000  good        1 of 1
        "#]],
        ),
        (
            "good",
            expect![[r#"
            start     events  value     verdict     counts
            10:00:00  0       -         no traffic  1 of 1
            10:01:00  0       -         no traffic  1 of 1
            10:02:00  1       30000000  good        1 of 1
        "#]],
        ),
        (
            "bad",
            expect![[r#"
            start     events  value     verdict     counts
            10:00:00  0       -         no traffic  0 of 1
            10:01:00  0       -         no traffic  0 of 1
            10:02:00  1       30000000  good        1 of 1
        "#]],
        ),
    ] {
        check(
            &format!(
                "topic: resources, filter: metric == 'backup', slice: 1m, empty: {empty}, freshness: {{atMost: 90s}}"
            ),
            "
            10:00:30 resources checkout other=1
            10:01:30 resources checkout other=1
            10:02:30 resources checkout backup=1
            end
            ",
            expected,
        );
    }
}

#[test]
fn an_event_long_before_the_slices_that_are_shown_keeps_its_age() {
    check(
        "topic: resources, filter: metric == 'backup', slice: 10m, freshness: {atMost: 1h}",
        "
        10:00:00 resources checkout backup=1
        10:50:01 resources checkout other=1
        11:10:00 resources checkout other=1
        end
        ",
        expect![[r#"
            start     events  value       verdict  counts
            10:00:00  1       600000000   good     1 of 1
            10:10:00  0       1200000000  good     1 of 1
            10:20:00  0       1800000000  good     1 of 1
            10:30:00  0       2400000000  good     1 of 1
            10:40:00  0       3000000000  good     1 of 1
            10:50:00  0       3600000000  good     1 of 1
            11:00:00  0       4200000000  bad      0 of 1
            11:10:00  0       4800000000  bad      0 of 1
        "#]],
    );
}
