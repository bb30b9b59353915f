//! Kinds that judge single events: availability, latency thresholds, results of audits. A window of a minute shows how
//! many of them were good.

use expect_test::expect;

use crate::played::check;

#[test]
fn availability_counts_what_its_predicate_says() {
    check(
        "topic: requests, good: status > 0 && status < 500",
        "
        10:00:01 checkout 120ms ok
        10:00:02 checkout 120ms error
        10:00:03 checkout 120ms ok
        10:01:10 checkout 120ms ok
        10:03:00 checkout 120ms error
        end
        ",
        expect![[r#"
            start     events  value  verdict     counts
            10:00:00  3       2/3    counted     -
            10:01:00  1       1/1    counted     -
            10:02:00  0       -      no traffic  -
            10:03:00  1       0/1    counted     -
        "#]],
    );
}

#[test]
fn what_good_asks_for_and_the_event_lacks_is_unjudged() {
    check(
        "topic: requests, good: status < 500",
        "
        10:00:01 checkout 120ms ok
        10:00:02 checkout 120ms ?
        10:01:01 checkout 120ms ?
        end
        ",
        expect![[r#"
            start     events  value  verdict   counts
            10:00:00  2       1/1    counted   -       1 unjudged
            10:01:00  1       -      unjudged  -       1 unjudged
        "#]],
    );
}

#[test]
fn what_the_filter_asks_for_and_the_event_lacks_is_no_match() {
    check(
        "topic: requests, filter: route == '/pay', good: status < 500",
        "
        10:00:01 checkout/pay 120ms ok
        10:00:02 checkout/cart 120ms error
        10:00:03 checkout 120ms error
        10:01:01 checkout 120ms ok
        10:01:02 cart/pay 120ms ok
        end
        ",
        expect![[r#"
            start     events  value  verdict     counts
            10:00:00  1       1/1    counted     -
            10:01:00  0       -      no traffic  -
        "#]],
    );
}

#[test]
fn attributes_take_part_in_predicates() {
    check(
        "topic: requests, filter: attributes.plan == 'gold', good: status < 500",
        "
        10:00:01 checkout 120ms ok plan=gold
        10:00:02 checkout 120ms error plan=gold
        10:00:03 checkout 120ms error plan=free
        10:00:04 checkout 120ms error
        end
        ",
        expect![[r#"
            start     events  value  verdict  counts
            10:00:00  2       1/2    counted  -
        "#]],
    );
}

#[test]
fn a_latency_is_good_up_to_the_threshold_itself_and_failures_are_bad() {
    check(
        "topic: requests, latencyThresholdUs: 300000",
        "
        10:00:01 checkout 300ms ok
        10:00:02 checkout 300001us ok
        10:00:03 checkout 5ms error
        10:00:04 checkout - ok
        10:00:05 checkout - error
        10:00:06 checkout 5ms ?
        end
        ",
        expect![[r#"
            start     events  value  verdict  counts
            10:00:00  6       2/5    counted  -       1 unjudged
        "#]],
    );
}

#[test]
fn failures_can_be_left_to_an_sli_of_their_own() {
    check(
        "topic: requests, latencyThresholdUs: 300000, failures: exclude",
        "
        10:00:01 checkout 300ms ok
        10:00:02 checkout 300001us ok
        10:00:03 checkout 5ms error
        10:00:04 checkout - ok
        10:00:05 checkout - error
        10:00:06 checkout 5ms ?
        10:01:01 checkout 5ms error
        end
        ",
        expect![[r#"
            start     events  value  verdict     counts
            10:00:00  4       2/3    counted     -       1 unjudged
            10:01:00  0       -      no traffic  -
        "#]],
    );
}

#[test]
fn audits_count_for_as_many_as_they_looked_at() {
    check(
        "topic: scores, filter: metric == 'groundedness', goodCount: good, totalCount: total",
        "
        10:00:01 audit checkout groundedness=998/1000
        10:00:02 audit checkout groundedness=0/10
        10:00:03 audit checkout toxicity=5/5
        10:01:01 audit checkout groundedness=0/0
        10:02:01 scores checkout groundedness=0.9
        end
        ",
        expect![[r#"
            start     events  value     verdict     counts
            10:00:00  1010    998/1010  counted     -
            10:01:00  0       -         no traffic  -
            10:02:00  0       -         no traffic  -
        "#]],
    );
}

#[test]
fn a_score_is_good_from_the_bound_on() {
    check(
        "topic: scores, filter: metric == 'groundedness', good: value >= 0.85",
        "
        10:00:01 scores checkout groundedness=0.85
        10:00:02 scores checkout groundedness=0.849999
        10:00:03 scores checkout groundedness=0.8499999
        10:00:04 scores checkout groundedness=-1
        10:00:05 audit checkout groundedness=9/10
        10:00:06 scores checkout satisfaction=5
        end
        ",
        expect![[r#"
            start     events  value  verdict  counts
            10:00:00  5       2/4    counted  -       1 unjudged
        "#]],
    );
}
