//! `streamgauge status`: what it shows, and the codes that it ends with.

use expect_test::expect;
use serde_json::Value;

use crate::program::{Files, documents};
use crate::slos::{counted, slos, traffic};

/// An hour of calm, ten minutes of trouble, five of calm.
const TROUBLE: [(usize, i64, i64); 3] = [(60, 60, 0), (10, 60, 12), (5, 60, 0)];
const CALM: [(usize, i64, i64); 1] = [(75, 60, 0)];

/// The exit code, and the state of the one SLO.
fn code_and_state(files: &Files, arguments: &str) -> String {
    let text = files.run(&format!("status --json {arguments}"), "");
    let (code, out) = text.split_once('\n').expect("the code stands in the first line");
    let found: Option<Value> = out.lines().next().and_then(|line| serde_json::from_str(line).ok());
    let state = found.map_or_else(|| "-".to_owned(), |found| found["state"].as_str().unwrap_or("?").to_owned());
    format!("{code} {state}")
}

#[test]
fn codes_and_states() {
    let strict = [("available", "ok", "0.999")];
    let input = "--input out";
    for (traffic, promises, arguments, expected) in [
        (&CALM[..], &strict[..], input, "0 fine"),
        (&TROUBLE[..], &strict, input, "1 not_fine"),
        // Three hours after: the critical tiers are quiet, the slow ones are not.
        (&[(60, 60, 0), (10, 60, 4), (180, 60, 0)], &strict, input, "0 warning"),
        (&CALM, &[("teapots", "rare", "0.999")], input, "2 no_traffic"),
        (&CALM, &[("available", "ok", "0.999"), ("teapots", "rare", "0.999")], input, "2 no_traffic"),
        // What is not fine comes before what can't be told.
        (&TROUBLE, &[("available", "ok", "0.999"), ("teapots", "rare", "0.999")], input, "1 not_fine"),
        (
            &TROUBLE,
            &[("available", "ok", "0.999"), ("teapots", "rare", "0.999")],
            "--input out teapots",
            "2 no_traffic",
        ),
        (&CALM, &[], input, "2 -"),
        (&CALM, &strict, "--input nothing", "2 -"),
        (&CALM, &strict, "--input out another", "2 -"),
    ] {
        let files = counted(traffic, promises);
        assert_eq!(code_and_state(&files, arguments), expected, "{traffic:?} {promises:?} {arguments}");
    }
}

#[test]
fn what_is_missing_is_said() {
    let files = counted(&CALM, &[("available", "ok", "0.999")]);
    let facts = std::fs::read_to_string(files.path("out/sli.windows.jsonl")).expect("counted");
    let write = |text: &str| std::fs::write(files.path("out/sli.windows.jsonl"), text).expect("a temporary file");
    write(&facts.replace("\"partitions\":1", "\"partitions\":3"));
    files.check(
        "status --input out",
        expect![[r#"
        2
        1 SLO can't be told

          slo        service   target  over  state        budget left  burn rate  forecast
          available  checkout   99.9%  30d   no coverage            -

        available: nothing was heard of requests, partition 1, 2

        requests: not every partition was heard of, so nothing of it is complete
    "#]],
    );
    // One batch near the end is gone.
    let last = facts.lines().count() - 10;
    let batch = |line: &str| serde_json::from_str::<Value>(line).expect("a fact")["batch"].clone();
    let gone = batch(facts.lines().nth(last).expect("there are more"));
    write(&facts.lines().filter(|line| batch(line) != gone).map(|line| format!("{line}\n")).collect::<String>());
    files.check("status --input out", expect![[r#"
        2
        1 SLO can't be told

          slo        service   target  over  state        budget left  burn rate                           forecast
          available  checkout   99.9%  30d   no coverage       100.0%  1h 0.00  6h 0.00  1d 0.00  3d 0.00  not spent at the rate of the last 6h

        available: a part of the last 1h is missing (hole)

        requests: counted to its end, 2026-01-05T11:15:00Z
        ---
        warning: requests/0: batch 449 follows batch 447 in output partition 0; offsets 4466 to 4476 are in no batch. Ask `streamgauge audit`
    "#]]);
    write("");
    files.check(
        "status --input out",
        expect![[r#"
        2
        ---
        streamgauge: nothing has been counted yet: there is no frontier in sli.windows; is the stage running?
    "#]],
    );
}

#[test]
fn one_screen() {
    let promises = [("available", "ok", "0.999"), ("forgiving", "ok", "0.9"), ("teapots", "rare", "0.99")];
    counted(&TROUBLE, &promises).check("status --input out", expect![[r#"
        1
        1 SLO is not fine, 1 SLO can't be told, 1 SLO is fine

          slo        service   target  over  state       budget left  burn rate                           forecast
          available  checkout   99.9%  30d   not fine          95.3%  1h 33.3  6h 26.7  1d 26.7  3d 26.7  spent in 1d 5h at the rate of the last 6h
          forgiving  checkout     90%  30d   fine              99.9%  1h 0.33  6h 0.27  1d 0.27  3d 0.27  not spent at the rate of the last 6h
          teapots    checkout     99%  30d   no traffic            -  1h -  6h -  1d -  3d -              unknown: nothing came in the last hours to go by

        alerts that fire; streamgauge explain ALERT shows the arithmetic:
          alert     slo        rule         severity  since
          b2cec33d  available  burn-6h-30m  critical  2026-01-05T11:02:20Z  for 12m 40s
          dab35ad3  available  burn-1d-2h   warning   2026-01-05T11:01:10Z  for 13m 50s
          4dfd95e0  available  burn-3d-6h   warning   2026-01-05T11:00:10Z  for 14m 50s

        teapots: nothing was counted of rare

        requests: counted to its end, 2026-01-05T11:15:00Z
    "#]]);
}

#[test]
fn one_slo_in_detail() {
    let files = counted(&TROUBLE, &[("available", "ok", "0.999")]);
    files.check("status available --input out", expect![[r#"
        1
        available  99.9% of ok (checkout) over 30d
        not fine: burn-6h-30m (critical) fires

        budget left  95.3%: 120 bad, and 2,592 may be, of 2,592,000 that the whole period will have had at this rate
        counted      events: 4,380 of 4,500 good (97.33%) since 2026-01-05T10:00:00Z
        forecast     spent in 1d 5h at the rate of the last 6h

        budget left over time:
             100% |█████████████████████████████████████████████████▇▇▇▆▆▆▆▆▆▆▆
                  |████████████████████████████████████████████████████████████
                  |████████████████████████████████████████████████████████████
                  |████████████████████████████████████████████████████████████
                  |████████████████████████████████████████████████████████████
               0% |████████████████████████████████████████████████████████████
                   2026-01-05T10:01:30Z                    2026-01-05T11:15:00Z

        burn rates and what they rest on (bad/total):
          rule              severity  above  long               short               state                             alert
          burn-1h-5m        critical   14.4  33.3  (120/3,600)   0.00  (0/300)      quiet
          burn-6h-30m       critical      6  26.7  (120/4,500)   66.7  (120/1,800)  fires since 2026-01-05T11:02:20Z  b2cec33d
          burn-1d-2h        warning       3  26.7  (120/4,500)   26.7  (120/4,500)  fires since 2026-01-05T11:01:10Z  dab35ad3
          burn-3d-6h        warning       1  26.7  (120/4,500)   26.7  (120/4,500)  fires since 2026-01-05T11:00:10Z  4dfd95e0
          budget-low        major         -     -                   -               quiet
          budget-exhausted  critical      -     -                   -               quiet
          absence           critical      -     -  (120/4,500)      -  (0/60)       quiet

        spans of 10m that had the most bad events:
          start                 bad  total  of the budget  trace ids of bad events
          2026-01-05T11:00:00Z  120    600           4.6%  m60r0 m60r3 m60r5

        requests: counted to its end, 2026-01-05T11:15:00Z
    "#]]);
}

#[test]
fn other_promises_judge_the_same_counts_and_other_filters_do_not() {
    let files = counted(&TROUBLE, &[]);
    std::fs::write(files.path("more.yaml"), slos(&[("available", "ok", "0.5")])).expect("a temporary file");
    files.check("status --input out --definitions more.yaml", expect![[r#"
        0
        1 SLO is fine

          slo        service   target  over  state  budget left  burn rate                           forecast
          available  checkout     50%  30d   fine         99.9%  1h 0.07  6h 0.05  1d 0.05  3d 0.05  not spent at the rate of the last 6h

        requests: counted to its end, 2026-01-05T11:15:00Z
    "#]]);
    let other = slos(&[("available", "ok", "0.5")]).replace("status < 500", "status < 400");
    std::fs::write(files.path("more.yaml"), other).expect("a temporary file");
    files.check(
        "status --input out --definitions more.yaml",
        expect![[r#"
        2
        1 SLO can't be told

          slo        service  target  over  state        budget left  burn rate  forecast
          available  -             -  -     not counted            -

        available: ok was counted by another `good` than the definitions say; count the events again

    "#]],
    );
    files.check(
        "status available --input out --definitions more.yaml",
        expect![[r#"
        2
        available  not counted: ok was counted by another `good` than the definitions say; count the events again
    "#]],
    );
    files.check("status --input out", expect![[r#"
        2
        ---
        streamgauge: the definitions have no SLO, so nothing is promised; add a document of kind SLO, and name the files by --definitions: what was counted can be judged by it (docs/slo.md)
    "#]]);
}

/// What the alarms counted grid point by grid point, and what is added up from the facts as they are now: the same, for every
/// kind of SLI and way of budgeting.
#[test]
fn both_ways_of_counting_agree() {
    let slis = [
        ("ok", "topic: requests, good: status < 500"),
        ("fast", "topic: requests, latencyThresholdUs: 500"),
        ("p50", "topic: requests, slice: 1m, empty: bad, percentile: {quantile: 0.5, atMostUs: 1000}"),
        ("quiet", "topic: requests, slice: 2m, empty: good, percentile: {quantile: 0.9, atMostUs: 1000}"),
        ("busy", "topic: requests, slice: 1m, traffic: {atLeastPerSec: 0.5}"),
        ("fresh", "topic: requests, slice: 30s, freshness: {atMost: 90s}"),
    ];
    let mut text = documents("checkout", &slis);
    let methods = ["Occurrences", "Timeslices", "RatioTimeslices"];
    let mut names = Vec::new();
    for (sli, spec) in slis {
        for method in methods.into_iter().take(if spec.contains("slice:") { 1 } else { 3 }) {
            let slices = match method {
                "Occurrences" => "",
                "Timeslices" => ", timeSliceTarget: 0.9, timeSliceWindow: 1m",
                _ => ", timeSliceWindow: 1m",
            };
            let name = format!("{sli}-{}", method.to_lowercase());
            text += &format!(
                "---\napiVersion: openslo/v1\nkind: SLO\nmetadata: {{name: {name}}}\nspec:\n  service: checkout\n  indicatorRef: {sli}\n  \
                 budgetingMethod: {method}\n  timeWindow: [{{duration: 7d, isRolling: true}}]\n  objectives: [{{target: 0.95{slices}}}]\n"
            );
            names.push(name);
        }
    }
    let events = traffic(&[(20, 60, 0), (10, 60, 12), (7, 0, 0), (3, 20, 20), (20, 60, 0)]);
    let files = Files::new(&[("slos.yaml", &text), ("events.jsonl", &events)]);
    let backfill = "backfill --quiet --event request --input events.jsonl --definitions slos.yaml --out out";
    assert_eq!(files.run(backfill, ""), "0\n");
    for name in names {
        let text = files.run(&format!("status {name} --input out --json"), "");
        let found: Value = serde_json::from_str(text.lines().nth(1).expect("one line")).expect("JSON");
        let now = found["budget_over_time"].as_array().and_then(|budgets| budgets.last()).expect("it was counted");
        assert!(now["counted"]["total"].as_i64().is_some_and(|total| total > 0), "{name}: {now}");
        assert_eq!(now["counted"], found["standing"]["counted"], "{name}");
        assert_eq!(now["remaining"], found["standing"]["remaining"], "{name}");
    }
}
