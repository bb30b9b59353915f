//! SLIs whose series are told apart by labels: declared values, other values, and what the bound folds together.

use expect_test::expect;

use crate::played::{SETTING, Setting, check};

#[test]
fn declared_values_have_slices_without_events_and_others_have_not() {
    check(
        "topic: requests, groupBy: {route: [/cart, /pay]}, slice: 1m, empty: bad, percentile: {quantile: 0.5, atMostUs: 100000}",
        "
        10:00:01 checkout/pay 50ms ok
        10:00:02 checkout/pay 500ms ok
        10:01:01 checkout/help 500ms ok
        10:01:02 checkout 50ms ok
        end
        ",
        expect![[r#"
            start     events  value  verdict     counts
            route=/cart
            10:00:00  0       -      no traffic  0 of 1
            10:01:00  0       -      no traffic  0 of 1
            route=/help
            10:01:00  1       0/1    bad         0 of 1
            route=/pay
            10:00:00  2       1/2    good        1 of 1
            10:01:00  0       -      no traffic  0 of 1
            10:01:00  1       1/1    good        1 of 1
        "#]],
    );
}

#[test]
fn traffic_of_a_declared_value_that_stopped_is_zero() {
    check(
        "topic: requests, groupBy: {version: ['1', '2']}, slice: 1m, traffic: {atLeastPerSec: 0.01}",
        "
        10:00:01 checkout@1 - ok
        10:00:02 checkout@3 - ok
        10:01:01 checkout@2 - ok
        10:01:02 checkout@2 - ok
        end
        ",
        expect![[r#"
            start     events  value     verdict  counts
            version=1
            10:00:00  1       0.016666  good     1 of 1
            10:01:00  0       0         bad      0 of 1
            version=2
            10:00:00  0       0         bad      0 of 1
            10:01:00  2       0.033333  good     1 of 1
            version=3
            10:00:00  1       0.016666  good     1 of 1
        "#]],
    );
}

#[test]
fn every_combination_of_declared_values_is_a_series() {
    check(
        "topic: requests, groupBy: {route: [/pay], attributes.plan: [free, gold]}, good: status < 500",
        "
        10:00:01 checkout/pay - ok plan=gold
        10:00:02 checkout/pay - error plan=gold
        10:00:03 checkout/pay - ok
        end
        ",
        expect![[r#"
            start     events  value  verdict     counts
            attributes.plan=free route=/pay
            10:00:00  0       -      no traffic  -
            attributes.plan=gold route=/pay
            10:00:00  2       1/2    counted     -
            route=/pay
            10:00:00  1       1/1    counted     -
        "#]],
    );
}

#[test]
fn tenants_stay_apart() {
    check(
        "topic: requests, slice: 1m, traffic: {atLeastPerSec: 0.02}",
        "
        10:00:01 checkout - ok tenant=north
        10:00:02 checkout - ok tenant=south
        10:00:03 checkout - ok tenant=south
        end
        ",
        expect![[r#"
            start     events  value     verdict  counts
            tenant=north
            10:00:00  1       0.016666  bad      0 of 1
            tenant=south
            10:00:00  2       0.033333  good     1 of 1
        "#]],
    );
}

#[test]
fn beyond_the_bound_declared_values_stay_whole_and_the_rest_is_marked() {
    let bounded = Setting { series_max: 2, ..SETTING };
    bounded.check(
        "topic: requests, groupBy: {route: [/pay]}, slice: 1m, percentile: {quantile: 0.5, atMostUs: 100000}",
        "
        10:00:01 checkout/pay 50ms ok
        10:00:02 checkout/a 50ms ok
        10:00:03 checkout/b 50ms ok
        10:00:04 checkout/c 50ms ok
        10:00:05 checkout/d 500ms ok
        10:01:01 checkout/a 50ms ok
        10:01:02 checkout/b 50ms ok
        end
        ",
        expect![[r#"
            start     events  value  verdict      counts
            route=/a
            10:00:00  1       1/1    no coverage  -       series_bound
            10:01:00  1       1/1    good         1 of 1
            route=/b
            10:01:00  1       1/1    good         1 of 1
            route=/d
            10:00:00  1       0/1    no coverage  -       series_bound
            route=/pay
            10:00:00  1       1/1    good         1 of 1
            10:01:00  0       -      no traffic   -
            route=__other__
            10:00:00  2       2/2    no coverage  -       series_bound
        "#]],
    );
}
