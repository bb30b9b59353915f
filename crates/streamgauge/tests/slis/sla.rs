//! `streamgauge sla`: a month as text, Markdown and JSON, and the codes that it ends with.

use expect_test::expect;

use crate::program::Files;
use crate::slos::{counted, slos};

/// 75 minutes: one of them bad at 11:00, ten at 11:02, and one event at 11:13, which is too little where 90% are promised.
const MONTH: [(usize, i64, i64); 7] =
    [(60, 60, 0), (1, 60, 6), (1, 60, 0), (10, 60, 30), (1, 60, 0), (1, 60, 1), (1, 60, 0)];

fn files() -> Files {
    counted(&MONTH, &[("available", "ok", "0.999"), ("forgiving", "ok", "0.9"), ("teapots", "rare", "0.999")])
}

#[test]
fn a_month_as_text() {
    files().check("sla 2026-01 --input out", expect![[r#"
        1
        2026-01 in UTC, 2026-01-01T00:00:00Z to 2026-02-01T00:00:00Z

        available  99.9% of ok (checkout): missed to date
          availability  93.17% (4,193 of 4,500 events)
          budget left   -6722.3%: 307 bad, and 4 of 4,500 may be
          projected     88.5% left if the rest of the month is as busy, and nothing more is bad
          covered       0.16% of the month (75 of 44640 slices of 1m); counted up to 2026-01-05T11:15:00Z
          downtime      12m in 3 pieces; a slice is 1m, and down if fewer than 99.9% of it are good
          down from             to                    for  bad/total
          2026-01-05T11:00:00Z  2026-01-05T11:01:00Z  1m   6/60
          2026-01-05T11:02:00Z  2026-01-05T11:12:00Z  10m  300/600
          2026-01-05T11:13:00Z  2026-01-05T11:14:00Z  1m   1/60

        forgiving  90% of ok (checkout): met to date
          availability  93.17% (4,193 of 4,500 events)
          budget left   31.7%: 307 bad, and 450 of 4,500 may be
          projected     99.8% left if the rest of the month is as busy, and nothing more is bad
          covered       0.16% of the month (75 of 44640 slices of 1m); counted up to 2026-01-05T11:15:00Z
          downtime      10m in one piece; a slice is 1m, and down if fewer than 90% of it are good
          down from             to                    for  bad/total
          2026-01-05T11:02:00Z  2026-01-05T11:12:00Z  10m  300/600

        teapots  99.9% of rare (checkout): no traffic
          covered       0.16% of the month (75 of 44640 slices of 1m), 75 of them without traffic; counted up to 2026-01-05T11:15:00Z

        definitions 684e12fa6137e725
    "#]]);
    files().check(
        "sla 2026-01 --input out --slo available --time-zone Pacific/Auckland",
        expect![[r#"
            1
            2026-01 in Pacific/Auckland, 2025-12-31T11:00:00Z to 2026-01-31T11:00:00Z

            available  99.9% of ok (checkout): missed to date
              availability  93.17% (4,193 of 4,500 events)
              budget left   -6722.3%: 307 bad, and 4 of 4,500 may be
              projected     88.5% left if the rest of the month is as busy, and nothing more is bad
              covered       0.16% of the month (75 of 44640 slices of 1m); counted up to 2026-01-05T11:15:00Z
              downtime      12m in 3 pieces; a slice is 1m, and down if fewer than 99.9% of it are good
              down from             to                    for  bad/total
              2026-01-05T11:00:00Z  2026-01-05T11:01:00Z  1m   6/60
              2026-01-05T11:02:00Z  2026-01-05T11:12:00Z  10m  300/600
              2026-01-05T11:13:00Z  2026-01-05T11:14:00Z  1m   1/60

            definitions 684e12fa6137e725
        "#]],
    );
    files().check(
        "sla 2025-12 --input out --slo available",
        expect![[r#"
            2
            2025-12 in UTC, 2025-12-01T00:00:00Z to 2026-01-01T00:00:00Z

            available  99.9% of ok (checkout): no coverage
              covered       0.00% of the month (0 of 44640 slices of 1m)

            definitions 684e12fa6137e725
        "#]],
    );
}

#[test]
fn a_month_for_pages_and_programs() {
    files().check("sla 2026-01 --input out --markdown", expect![[r#"
        1
        # 2026-01 in UTC, 2026-01-01T00:00:00Z to 2026-02-01T00:00:00Z

        | SLO | target | availability | verdict | budget left | downtime |
        |---|---|---|---|---|---|
        | available | 99.9% | 93.17% | missed to date | -6722.3% | 12m |
        | forgiving | 90% | 93.17% | met to date | 31.7% | 10m |
        | teapots | 99.9% | - | no traffic | - | 0s |

        ## available

        - availability: 93.17% (4,193 of 4,500 events)
        - budget left: -6722.3%: 307 bad, and 4 of 4,500 may be
        - projected: 88.5% left if the rest of the month is as busy, and nothing more is bad
        - covered: 0.16% of the month (75 of 44640 slices of 1m); counted up to 2026-01-05T11:15:00Z
        - downtime: 12m in 3 pieces; a slice is 1m, and down if fewer than 99.9% of it are good

        | from | to | for | bad/total |
        |---|---|---|---|
        | 2026-01-05T11:00:00Z | 2026-01-05T11:01:00Z | 1m | 6/60 |
        | 2026-01-05T11:02:00Z | 2026-01-05T11:12:00Z | 10m | 300/600 |
        | 2026-01-05T11:13:00Z | 2026-01-05T11:14:00Z | 1m | 1/60 |

        ## forgiving

        - availability: 93.17% (4,193 of 4,500 events)
        - budget left: 31.7%: 307 bad, and 450 of 4,500 may be
        - projected: 99.8% left if the rest of the month is as busy, and nothing more is bad
        - covered: 0.16% of the month (75 of 44640 slices of 1m); counted up to 2026-01-05T11:15:00Z
        - downtime: 10m in one piece; a slice is 1m, and down if fewer than 90% of it are good

        | from | to | for | bad/total |
        |---|---|---|---|
        | 2026-01-05T11:02:00Z | 2026-01-05T11:12:00Z | 10m | 300/600 |

        ## teapots

        - covered: 0.16% of the month (75 of 44640 slices of 1m), 75 of them without traffic; counted up to 2026-01-05T11:15:00Z

        Definitions: `684e12fa6137e725`
    "#]]);
    files().check("sla 2026-01 --input out --json --slo forgiving", expect![[r#"
        0
        {"month":{"name":"2026-01","time_zone":"UTC","from":"2026-01-01T00:00:00Z","to":"2026-02-01T00:00:00Z"},"definitions":"684e12fa6137e725","slos":[{"slo":"forgiving","service":"checkout","indicator":"ok","target":"90%","unit_text":"events","verdict":"met","is_complete":false,"counted":{"bad":307,"total":4500},"of":4500,"allowed":"450","remaining":0.31777777777777777,"remaining_projected":0.9988537933094385,"counted_to":"2026-01-05T11:15:00Z","slices":{"width_us":60000000,"all":44640,"covered":75,"empty":0,"bad":10},"slice_text":"a slice is 1m, and down if fewer than 90% of it are good","downtime_us":600000000,"downtimes":[{"from":"2026-01-05T11:02:00Z","to":"2026-01-05T11:12:00Z","bad":300,"total":600}]}],"not_counted":[]}
    "#]]);
}

#[test]
fn months_by_slices() {
    let files = files();
    let by = |method: &str, objective: &str| {
        let text = slos(&[("available", "ok", "0.9")]).replace("Occurrences", method);
        let text = text.replace("{target: 0.9}", &format!("{{target: 0.9, {objective}}}"));
        std::fs::write(files.path("sliced.yaml"), text).expect("a temporary file");
    };
    by("Timeslices", "timeSliceTarget: 0.8, timeSliceWindow: 5m");
    files.check(
        "sla 2026-01 --input out --definitions sliced.yaml",
        expect![[r#"
            0
            2026-01 in UTC, 2026-01-01T00:00:00Z to 2026-02-01T00:00:00Z

            available  90% of ok (checkout): met to date
              availability  80.00% (12 of 15 slices of 5m)
              budget left   99.6%: 3 bad, and 892 of 8,928 may be
              covered       0.16% of the month (15 of 8928 slices of 5m); counted up to 2026-01-05T11:15:00Z
              downtime      15m in one piece; a slice is 5m, and down if fewer than 80% of it are good
              down from             to                    for  bad/total
              2026-01-05T11:00:00Z  2026-01-05T11:15:00Z  15m  307/900

            definitions c6cd0f729ea57a8a
        "#]],
    );
    files.check("status --input out --definitions sliced.yaml", expect![[r#"
        0
        1 SLO is fine

          slo        service   target  over  state  budget left  burn rate                           forecast
          available  checkout     90%  30d   fine         99.6%  1h 2.50  6h 2.00  1d 2.00  3d 2.00  not spent at the rate of the last 6h

        requests: counted to its end, 2026-01-05T11:15:00Z
    "#]]);
    by("RatioTimeslices", "timeSliceWindow: 5m");
    files.check(
        "sla 2026-01 --input out --definitions sliced.yaml",
        expect![[r#"
            0
            2026-01 in UTC, 2026-01-01T00:00:00Z to 2026-02-01T00:00:00Z

            available  90% of ok (checkout): met to date
              availability  93.17% (13.976 of 15.000 slices of 5m, each by its share of bad events)
              budget left   31.7%: 1.023 bad, and 1.500 of 15.000 may be
              projected     99.8% left if the rest of the month is as busy, and nothing more is bad
              covered       0.16% of the month (15 of 8928 slices of 5m); counted up to 2026-01-05T11:15:00Z
              downtime      15m in one piece; a slice is 5m, and down if fewer than 90% of it are good
              down from             to                    for  bad/total
              2026-01-05T11:00:00Z  2026-01-05T11:15:00Z  15m  307/900

            definitions 8500fd99e259d09c
        "#]],
    );
    files.check("status available --input out --definitions sliced.yaml", expect![[r#"
        0
        available  90% of ok (checkout) over 30d
        fine

        budget left  99.8%: 1.023 bad, and 864.000 may be, of 8,640.000 that the whole period will have had at this rate
        counted      slices of 5m, each by its share of bad events: 13.976 of 15.000 good (93.17%) since 2026-01-05T10:00:00Z
        forecast     not spent at the rate of the last 6h

        budget left over time:
             100% |   █████████████████████████████████████████████████████████
                  |   █████████████████████████████████████████████████████████
                  |   █████████████████████████████████████████████████████████
                  |   █████████████████████████████████████████████████████████
                  |   █████████████████████████████████████████████████████████
               0% |   █████████████████████████████████████████████████████████
                   2026-01-05T10:01:30Z                    2026-01-05T11:15:00Z

        burn rates and what they rest on (bad/total):
          rule              severity  above  long                  short                  state  alert
          burn-1h-5m        critical   14.4  0.85  (1.023/12.000)   2.03  (0.203/1.000)   quiet
          burn-6h-30m       critical      6  0.68  (1.023/15.000)   1.71  (1.023/6.000)   quiet
          burn-1d-2h        warning       3  0.68  (1.023/15.000)   0.68  (1.023/15.000)  quiet
          burn-3d-6h        warning       1  0.68  (1.023/15.000)   0.68  (1.023/15.000)  quiet
          budget-low        major         -     -                      -                  quiet
          budget-exhausted  critical      -     -                      -                  quiet
          absence           critical      -     -  (307/4,500)         -  (0/60)          quiet

        spans of 5m that had the most bad ones:
          start                 bad  total  of the budget  trace ids of bad events
          2026-01-05T11:05:00Z  150    300              -  m65r8 m65r1 m65r7
          2026-01-05T11:00:00Z   96    300              -  m60r0 m60r3 m60r5
          2026-01-05T11:10:00Z   61    300              -  m70r2 m70r5 m70r8

        requests: counted to its end, 2026-01-05T11:15:00Z
    "#]]);
}

/// One event every six hours, from the last day of December to the first of February, all of them good but two.
#[test]
fn a_month_that_is_over() {
    const DECEMBER_31_US: i64 = 1_767_139_200_000_000;
    let event = |number: i64| {
        let ts = DECEMBER_31_US + number * 6 * 3_600_000_000;
        let status = if [50, 51].contains(&number) { 500 } else { 200 };
        format!("{{\"ts\":{ts},\"service\":\"checkout\",\"status\":{status}}}\n")
    };
    let events: String = (0..132).map(event).collect();
    let promises = slos(&[("available", "ok", "0.98"), ("strict", "ok", "0.99")]);
    let files = Files::new(&[("slos.yaml", &promises), ("events.jsonl", &events)]);
    let backfill = "backfill --quiet --event request --input events.jsonl --definitions slos.yaml --out out";
    assert_eq!(files.run(backfill, ""), "0\n");
    files.check(
        "sla 2026-01 --input out",
        expect![[r#"
            1
            2026-01 in UTC, 2026-01-01T00:00:00Z to 2026-02-01T00:00:00Z

            available  98% of ok (checkout): met
              availability  98.38% (122 of 124 events)
              budget left   19.3%: 2 bad, and 2 of 124 may be
              covered       100.00% of the month (44640 of 44640 slices of 1m), 44516 of them without traffic
              downtime      2m in 2 pieces; a slice is 1m, and down if fewer than 98% of it are good
              down from             to                    for  bad/total
              2026-01-12T12:00:00Z  2026-01-12T12:01:00Z  1m   1/1
              2026-01-12T18:00:00Z  2026-01-12T18:01:00Z  1m   1/1

            strict  99% of ok (checkout): missed
              availability  98.38% (122 of 124 events)
              budget left   -61.3%: 2 bad, and 1 of 124 may be
              covered       100.00% of the month (44640 of 44640 slices of 1m), 44516 of them without traffic
              downtime      2m in 2 pieces; a slice is 1m, and down if fewer than 99% of it are good
              down from             to                    for  bad/total
              2026-01-12T12:00:00Z  2026-01-12T12:01:00Z  1m   1/1
              2026-01-12T18:00:00Z  2026-01-12T18:01:00Z  1m   1/1

            definitions 153588bb846e8377
        "#]],
    );
}

#[test]
fn codes() {
    let files = files();
    for (arguments, expected) in [
        ("2026-01 --input out --slo forgiving", "0"),
        ("2026-01 --input out --slo available", "1"),
        ("2026-01 --input out --slo teapots", "2"),
        // What was missed comes before what can't be told.
        ("2026-01 --input out", "1"),
        ("2026-02 --input out", "2"),
        ("2026-01 --input out --slo another", "2"),
        ("2026-1 --input out", "2"),
        ("2026-01 --input out --time-zone Mars", "2"),
        ("2026-01 --input nothing", "2"),
    ] {
        let text = files.run(&format!("sla {arguments}"), "");
        assert_eq!(text.lines().next(), Some(expected), "{arguments}: {text}");
    }
}
