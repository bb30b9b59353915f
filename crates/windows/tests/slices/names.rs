//! Names that mean something to us, written by those who mean nothing by them.

use expect_test::expect;

use crate::played::check;

/// Only a series whose every label says `__other__` holds what the bound folded away, and here it folded nothing.
#[test]
fn a_version_called_other_does_not_take_coverage_away() {
    check(
        "topic: requests, slice: 1m, traffic: {atLeastPerSec: 0.01}, groupBy: {route: [], version: []}",
        "
        10:00:01 checkout/a@1 50ms ok
        10:00:02 checkout/a@__other__ 50ms ok
        end
        ",
        expect![[r#"
            start     events  value     verdict  counts
            route=/a version=1
            10:00:00  1       0.016666  good     1 of 1
            route=/a version=__other__
            10:00:00  1       0.016666  good     1 of 1
        "#]],
    );
}
