//! Kinds that judge slices by values: means of scores, samples of resources.

use expect_test::expect;

use crate::played::check;

#[test]
fn a_mean_is_that_of_the_slice_and_no_mean_of_means() {
    // The panes' means are 1 and 4: their mean would be 2.5, and bad.
    check(
        "topic: scores, slice: 1m, mean: {atLeast: 3}",
        "
        10:00:01 scores checkout satisfaction=1
        10:00:11 scores checkout satisfaction=4
        10:00:12 scores checkout satisfaction=4
        10:00:13 scores checkout satisfaction=4
        end
        ",
        expect![[r#"
            start     events  value  verdict  counts
            10:00:00  4       3.25   good     1 of 1
        "#]],
    );
}

#[test]
fn a_mean_on_the_bound_holds_and_is_compared_before_it_is_rounded() {
    // One third is below 0.333334, and above 0.333333, which is what is shown of it.
    for (bounds, expected) in [
        (
            "atLeast: 0.333333, atMost: 0.333334",
            expect![[r#"
                start     events  value     verdict  counts
                10:00:00  3       0.333333  good     1 of 1
            "#]],
        ),
        (
            "atMost: 0.333333",
            expect![[r#"
                start     events  value     verdict  counts
                10:00:00  3       0.333333  bad      0 of 1
            "#]],
        ),
    ] {
        check(
            &format!("topic: scores, slice: 1m, mean: {{{bounds}}}"),
            "
            10:00:01 scores checkout satisfaction=1
            10:00:02 scores checkout satisfaction=0
            10:00:03 scores checkout satisfaction=0
            end
            ",
            expected,
        );
    }
    check(
        "topic: scores, slice: 1m, mean: {atLeast: 0.1, atMost: 0.1}",
        "
        10:00:01 scores checkout satisfaction=0.1
        10:00:02 scores checkout satisfaction=0.1
        10:00:03 scores checkout satisfaction=0.1
        10:01:01 scores checkout satisfaction=0.1
        10:01:02 scores checkout satisfaction=0.100001
        end
        ",
        expect![[r#"
            start     events  value  verdict  counts
            10:00:00  3       0.1    good     1 of 1
            10:01:00  2       0.1    bad      0 of 1
        "#]],
    );
}

#[test]
fn values_below_zero_have_a_mean_like_others() {
    check(
        "topic: scores, slice: 1m, mean: {atLeast: -0.5}",
        "
        10:00:01 scores checkout sentiment=-1
        10:00:02 scores checkout sentiment=0
        10:01:01 scores checkout sentiment=-0.500001
        10:02:01 scores checkout sentiment=-1
        10:02:02 scores checkout sentiment=1
        end
        ",
        expect![[r#"
            start     events  value      verdict  counts
            10:00:00  2       -0.5       good     1 of 1
            10:01:00  1       -0.500001  bad      0 of 1
            10:02:00  2       0          good     1 of 1
        "#]],
    );
}

#[test]
fn a_score_without_a_value_is_unjudged() {
    check(
        "topic: scores, slice: 1m, mean: {atLeast: 4}",
        "
        10:00:01 scores checkout satisfaction=5
        10:00:02 audit checkout satisfaction=1/10
        10:01:01 audit checkout satisfaction=1/10
        end
        ",
        expect![[r#"
            start     events  value  verdict   counts
            10:00:00  2       5      good      1 of 1  1 unjudged
            10:01:00  1       -      unjudged  -       1 unjudged
        "#]],
    );
}

/// CPU of two pods over three slices; the last sample of the first slice was sent before others that are older.
const CPU: &str = "
    10:00:01 resources checkout cpu=0.20 @pod-1
    10:00:04 resources checkout cpu=0.91 @pod-2
    10:00:03 resources checkout cpu=0.30 @pod-1
    10:00:02 resources checkout memory=0.99 @pod-1
    10:01:01 resources checkout cpu=0.80 @pod-1
    10:01:01 resources checkout cpu=0.70 @pod-2
    10:02:30 resources checkout cpu=0.10 @pod-1
    end
";

#[test]
fn saturation_by_the_mean_unless_said_otherwise() {
    check(
        "topic: resources, filter: metric == 'cpu', slice: 1m, saturation: {atMost: 0.47}",
        CPU,
        expect![[r#"
            start     events  value  verdict  counts
            10:00:00  3       0.47   good     1 of 1
            10:01:00  2       0.75   bad      0 of 1
            10:02:00  1       0.1    good     1 of 1
        "#]],
    );
}

#[test]
fn saturation_by_the_largest_sample() {
    check(
        "topic: resources, filter: metric == 'cpu', slice: 1m, saturation: {aggregate: max, atMost: 0.8}",
        CPU,
        expect![[r#"
            start     events  value  verdict  counts
            10:00:00  3       0.91   bad      0 of 1
            10:01:00  2       0.8    good     1 of 1
            10:02:00  1       0.1    good     1 of 1
        "#]],
    );
}

#[test]
fn saturation_by_the_smallest_sample() {
    check(
        "topic: resources, filter: metric == 'cpu', slice: 1m, saturation: {aggregate: min, atLeast: 0.2}",
        CPU,
        expect![[r#"
            start     events  value  verdict  counts
            10:00:00  3       0.2    good     1 of 1
            10:01:00  2       0.7    good     1 of 1
            10:02:00  1       0.1    bad      0 of 1
        "#]],
    );
}

#[test]
fn saturation_by_the_last_sample_by_time_then_by_offset() {
    check(
        "topic: resources, filter: metric == 'cpu', slice: 1m, saturation: {aggregate: last, atMost: 0.7}",
        CPU,
        expect![[r#"
            start     events  value  verdict  counts
            10:00:00  3       0.91   bad      0 of 1
            10:01:00  2       0.7    good     1 of 1
            10:02:00  1       0.1    good     1 of 1
        "#]],
    );
}

#[test]
fn saturation_by_a_percentile_shows_the_upper_edge_of_its_counter() {
    check(
        "topic: resources, filter: metric == 'cpu', slice: 1m, saturation: {aggregate: p50, atMost: 0.5}",
        CPU,
        expect![[r#"
            start     events  value     verdict  counts
            10:00:00  3       0.301055  good     1 of 1
            10:01:00  2       0.700415  bad      0 of 1
            10:02:00  1       0.1       good     1 of 1
        "#]],
    );
    check(
        "topic: resources, filter: metric == 'queue', slice: 1m, saturation: {aggregate: p95, atMost: 100}",
        "
        10:00:01 resources checkout queue=100
        10:00:02 resources checkout queue=3
        10:01:01 resources checkout queue=0
        end
        ",
        expect![[r#"
            start     events  value  verdict  counts
            10:00:00  2       100    good     1 of 1
            10:01:00  1       0      good     1 of 1
        "#]],
    );
}

#[test]
fn cpu_memory_disk_queues_quotas_and_connections_are_metrics() {
    for (metric, bounds, value, expected) in [
        ("cpu", "atMost: 0.8", "0.81", "bad"),
        ("memory_mib", "atMost: 2048", "2048", "good"),
        ("disk_free_ratio", "atLeast: 0.1", "0.09", "bad"),
        ("queue_depth", "atMost: 1000", "1000.000001", "bad"),
        ("quota_left", "atLeast: 1", "1", "good"),
        ("connections", "atLeast: 1, atMost: 90", "90", "good"),
    ] {
        let spec = format!("topic: resources, filter: metric == '{metric}', slice: 1m, saturation: {{{bounds}}}");
        let lines = format!("10:00:01 resources checkout {metric}={value}\nend");
        let table = crate::played::SETTING.table(&spec, &spec, &lines);
        let row = table.lines().nth(1).unwrap_or_default();
        let words: Vec<&str> = row.split_whitespace().collect();
        assert_eq!(&words[2..4], [value, expected], "{metric}: {row}");
    }
}
