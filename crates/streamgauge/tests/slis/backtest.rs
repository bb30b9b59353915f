//! `streamgauge backtest`: the alerts that would have fired, and how well they tell of incidents.

use expect_test::expect;

use crate::program::Files;
use crate::slos::counted;

/// Three hours: trouble of ten minutes at 11:00, a little of it at 12:00, and trouble again at 12:30 that nobody noted.
const THREE_HOURS: [(usize, i64, i64); 7] =
    [(60, 60, 0), (10, 60, 12), (50, 60, 0), (5, 60, 1), (25, 60, 0), (10, 60, 20), (20, 60, 0)];

const INCIDENTS: &str = "
incidents:
  - { start: 2026-01-05T11:00:00Z, end: 2026-01-05T11:05:00Z, service: checkout, name: bad deployment }
  - { start: 2026-01-05T11:05:00Z, end: 2026-01-05T11:10:00Z, service: checkout, name: bad deployment }
  - { start: 2026-01-05T12:00:00Z, end: 2026-01-05T12:05:00Z, name: a slow disk }
  - { start: 2026-01-05T12:30:00Z, end: 2026-01-05T12:40:00Z, service: search, name: not ours }
  - { start: 2026-01-06, end: 2026-01-07, name: later }
";

fn files() -> Files {
    let files = counted(&THREE_HOURS, &[("available", "ok", "0.999"), ("teapots", "rare", "0.999")]);
    std::fs::write(files.path("incidents.yaml"), INCIDENTS).expect("a temporary file");
    files
}

#[test]
fn alerts_that_would_have_fired() {
    let files = files();
    files.check(
        "backtest --input out",
        expect![[r#"
            0
            available  99.9% of ok over 30d, from 2026-01-05T10:00:00Z to 2026-01-05T13:00:00Z
              alert     rule         severity  fired                 for                  long  short  budget left
              4dfd95e0  burn-3d-6h   warning   2026-01-05T11:00:10Z  1h 59m, to the end   2.77   2.77        99.6%
              dab35ad3  burn-1d-2h   warning   2026-01-05T11:01:10Z  1h 58m, to the end   5.99   5.99        99.1%
              b2cec33d  burn-6h-30m  critical  2026-01-05T11:02:20Z  36m 50s              9.63   20.0        98.6%
              2c9fff7b  burn-1h-5m   critical  2026-01-05T11:05:10Z  9m                   19.4    200        97.2%
              02ab5914  burn-6h-30m  critical  2026-01-05T12:30:10Z  29m 50s, to the end  15.0   7.78        94.7%
              7107bc2e  burn-1h-5m   critical  2026-01-05T12:33:10Z  11m 10s              20.8    233        92.4%

            teapots  99.9% of rare over 30d, from 2026-01-05T10:00:00Z to 2026-01-05T13:00:00Z
              nothing was counted, so nothing can be said
        "#]],
    );
    files.check(
        "backtest --input out --slo available --from 2026-01-05T12:00:00Z --to 2026-01-05T12:34:00Z",
        expect![[r#"
            0
            available  99.9% of ok over 30d, from 2026-01-05T12:00:00Z to 2026-01-05T12:34:00Z
              alert     rule         severity  fired                 for                  long  short  budget left
              02ab5914  burn-6h-30m  critical  2026-01-05T12:30:10Z  29m 50s, to the end  15.0   7.78        94.7%
              7107bc2e  burn-1h-5m   critical  2026-01-05T12:33:10Z  11m 10s              20.8    233        92.4%
        "#]],
    );
    files.check(
        "backtest --input out --slo available --targets 0.9,0.5",
        expect![[r#"
            0
            available@50%  50% of ok over 30d, from 2026-01-05T10:00:00Z to 2026-01-05T13:00:00Z
              no alert would have fired

            available@90%  90% of ok over 30d, from 2026-01-05T10:00:00Z to 2026-01-05T13:00:00Z
              no alert would have fired
        "#]],
    );
}

#[test]
fn alerts_against_incidents() {
    files().check("backtest --input out --slo available --incidents incidents.yaml", expect![[r#"
        0
        available  99.9% of ok over 30d, from 2026-01-05T10:00:00Z to 2026-01-05T13:00:00Z
          alert     rule         severity  fired                 for                  long  short  budget left  incident
          4dfd95e0  burn-3d-6h   warning   2026-01-05T11:00:10Z  1h 59m, to the end   2.77   2.77        99.6%  11:00 bad deployment
          dab35ad3  burn-1d-2h   warning   2026-01-05T11:01:10Z  1h 58m, to the end   5.99   5.99        99.1%  11:00 bad deployment
          b2cec33d  burn-6h-30m  critical  2026-01-05T11:02:20Z  36m 50s              9.63   20.0        98.6%  11:00 bad deployment
          2c9fff7b  burn-1h-5m   critical  2026-01-05T11:05:10Z  9m                   19.4    200        97.2%  11:00 bad deployment
          02ab5914  burn-6h-30m  critical  2026-01-05T12:30:10Z  29m 50s, to the end  15.0   7.78        94.7%  none
          7107bc2e  burn-1h-5m   critical  2026-01-05T12:33:10Z  11m 10s              20.8    233        92.4%  none

          against 2 incidents (grace 5m; those at most 1m apart are one):
          1 more lie outside of what was counted
          rule               severity       alerts  precision   found  recall  firing before  detection median, most  reset median, most
          burn-1h-5m         critical  1 of 2 true     50.00%  1 of 2  50.00%              0  5m 10s, 5m 10s          4m 10s, 4m 10s
          burn-6h-30m        critical  1 of 2 true     50.00%  1 of 2  50.00%              0  2m 20s, 2m 20s          29m 10s, 29m 10s
          burn-1d-2h         warning   1 of 1 true    100.00%  1 of 2  50.00%              1  1m 10s, 1m 10s          - (1 still firing)
          burn-3d-6h         warning   1 of 1 true    100.00%  1 of 2  50.00%              1  10s, 10s                - (1 still firing)
          budget-low         major     0 of 0 true          -  0 of 2   0.00%              0  -                       -
          budget-exhausted   critical  0 of 0 true          -  0 of 2   0.00%              0  -                       -
          absence            critical  0 of 0 true          -  0 of 2   0.00%              0  -                       -
          all critical ones  critical  2 of 4 true     50.00%  1 of 2  50.00%              0  2m 20s, 2m 20s          29m 10s, 29m 10s
          all                any       4 of 6 true     66.66%  1 of 2  50.00%              1  10s, 10s                - (1 still firing)
    "#]]);
}

#[test]
fn several_slos_tell_of_the_same_incidents() {
    let files = counted(&THREE_HOURS, &[("available", "ok", "0.999"), ("forgiving", "ok", "0.95")]);
    std::fs::write(files.path("incidents.yaml"), INCIDENTS).expect("a temporary file");
    let text = files.run("backtest --input out --incidents incidents.yaml", "");
    expect![[r#"
        all SLOs together
          rule               severity       alerts  precision   found  recall  firing before  detection median, most  reset median, most
          all critical ones  critical  2 of 4 true     50.00%  1 of 2  50.00%              0  2m 20s, 2m 20s          29m 10s, 29m 10s
          all                any       4 of 6 true     66.66%  1 of 2  50.00%              1  10s, 10s                - (1 still firing)
    "#]].assert_eq(&text[text.find("all SLOs together").expect("it is there")..]);
}

#[test]
fn codes() {
    let files = files();
    std::fs::write(files.path("bad.yaml"), "incidents: [{start: noon, end: night}]").expect("a temporary file");
    for (arguments, expected) in [
        ("--input out", "0"),
        ("--input out --json --incidents incidents.yaml", "0"),
        ("--input out --slo another", "2"),
        ("--input out --targets 99.9", "2"),
        ("--input out --targets 1", "2"),
        ("--input out --incidents bad.yaml", "2"),
        ("--input out --incidents none.yaml", "2"),
        ("--input nothing", "2"),
        ("none.yaml --input out", "2"),
    ] {
        let text = files.run(&format!("backtest {arguments}"), "");
        assert_eq!(text.lines().next(), Some(expected), "{arguments}: {text}");
    }
    files.check("backtest --input out --targets 99.9", expect![[r#"
        2
        ---
        error: invalid value '99.9' for '--targets <TARGET>': a target of 99.9 leaves no budget for errors; it must be below 1; 99.9% is 0.999

        For more information, try '--help'.
    "#]]);
    files.check("backtest --input out --incidents bad.yaml", expect![[r#"
        2
        ---
        streamgauge: bad.yaml is no list of incidents: incident 1: "noon" is no time: write 2026-01-31, 2026-01-31T10:00:00Z or 2026-01-31T12:00:00+02:00
    "#]]);
}

#[test]
fn for_programs() {
    let text = files().run("backtest --input out --slo available --incidents incidents.yaml --json", "");
    let found: serde_json::Value = serde_json::from_str(text.lines().nth(1).expect("one line")).expect("JSON");
    let slo = &found["slos"][0];
    let pages = slo["scores"].as_array().expect("a list").iter().find(|score| score["rule"] == "all critical ones");
    expect![[r#"
        {
          "detection_us_median": 140000000,
          "precision": 0.5,
          "recall": 0.5,
          "reset_us_median": 1750000000,
          "rule": "all critical ones",
          "score": {
            "alerts": 4,
            "alerts_true": 2,
            "already_firing": 0,
            "detection_us": [
              140000000
            ],
            "found": 1,
            "incidents": 2,
            "missed": [
              {
                "end": "2026-01-05T12:05:00Z",
                "name": "a slow disk",
                "start": "2026-01-05T12:00:00Z"
              }
            ],
            "never_reset": 0,
            "reset_us": [
              1750000000
            ]
          },
          "severity": "critical"
        }
        {
          "fired": {
            "alert": "4dfd95e0",
            "at": "2026-01-05T11:00:10Z",
            "counted": {
              "bad": 10,
              "total": 3610
            },
            "definition": "892ce9f26b69e528",
            "exemplars": [
              "m60r5",
              "m60r3",
              "m60r0"
            ],
            "fingerprint": "4760273da2f49144",
            "forecast": "not_at_this_rate",
            "id": "7c4faf9eb7197f7c",
            "long": {
              "bad": 10,
              "burn": 2.770083102493075,
              "total": 3610
            },
            "remaining": 0.996141975308642,
            "rule": "burn-3d-6h",
            "service": "checkout",
            "severity": "warning",
            "short": {
              "bad": 10,
              "burn": 2.770083102493075,
              "total": 3610
            },
            "slo": "available",
            "starts_at": "2026-01-05T11:00:10Z",
            "target": "99.9%",
            "transition": "fired",
            "window": "30d"
          },
          "for_us": 7190000000,
          "id": "4dfd95e0",
          "incident": "bad deployment",
          "resolved": null
        }
    "#]]
    .assert_eq(&format!("{:#}\n{:#}\n", pages.expect("it is there"), slo["alerts"][0]));
}
