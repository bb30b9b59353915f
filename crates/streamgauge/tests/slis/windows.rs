//! `streamgauge windows --sli` over what a backfill counted: text, JSON, CSV, and other definitions than it was counted by.

use expect_test::expect;

use crate::program::{Files, documents};

const REQUESTS: &str = r#"{"ts":1767607201000000,"service":"checkout","route":"/pay","status":200,"latency_us":120000}
{"ts":1767607202000000,"service":"checkout","route":"/pay","status":503,"latency_us":2000}
{"ts":1767607203000000,"service":"checkout","route":"/cart","latency_us":300001}
{"ts":1767607204000000,"service":"checkout","route":"/pay"}
{"ts":1767607385000000,"service":"checkout","route":"/pay","status":200,"latency_us":90000}
"#;

const SCORES: &str = r#"{"ts":1767607201000000,"service":"checkout","metric":"satisfaction","value":4.5,"version":"1"}
{"ts":1767607202000000,"service":"checkout","metric":"satisfaction","value":3,"version":"1"}
{"ts":1767607203000000,"service":"checkout","metric":"audit","good":998,"total":1000}
{"ts":1767607325000000,"service":"checkout","metric":"satisfaction","value":4,"version":"2"}
"#;

const RESOURCES: &str = r#"{"ts":1767607201000000,"service":"checkout","metric":"cpu","instance":"pod-1","value":0.25}
{"ts":1767607202000000,"service":"checkout","metric":"cpu","instance":"pod-2","value":0.95}
{"ts":1767607325000000,"service":"checkout","metric":"cpu","instance":"pod-1","value":0.1}
"#;

const SLIS: [(&str, &str); 8] = [
    ("available", "topic: requests, filter: route == '/pay', good: status < 500"),
    ("fast", "topic: requests, latencyThresholdUs: 300000"),
    ("p50", "topic: requests, slice: 1m, empty: bad, percentile: {quantile: 0.5, atMostUs: 100000}"),
    ("busy", "topic: requests, slice: 1m, traffic: {atLeastPerSec: 0.05}"),
    (
        "satisfied",
        "topic: scores, filter: metric == 'satisfaction', groupBy: {version: ['1']}, slice: 1m, mean: {atLeast: 4}",
    ),
    ("audited", "topic: scores, filter: metric == 'audit', goodCount: good, totalCount: total"),
    ("saturated", "topic: resources, slice: 1m, saturation: {aggregate: max, atMost: 0.9}"),
    ("sampled", "topic: resources, slice: 1m, freshness: {atMost: 90s}"),
];

/// All three topics, counted.
fn counted() -> Files {
    let slis = documents("checkout", &SLIS);
    let files = Files::new(&[
        ("slis.yaml", &slis),
        ("requests.jsonl", REQUESTS),
        ("scores.jsonl", SCORES),
        ("resources.jsonl", RESOURCES),
    ]);
    for kind in ["request", "score", "resource"] {
        let backfill =
            format!("backfill --quiet --event {kind} --input {kind}s.jsonl --definitions slis.yaml --out {kind}s");
        assert_eq!(files.run(&backfill, ""), "0\n");
    }
    files
}

#[test]
fn tables_of_every_kind() {
    let files = counted();
    files.check(
        "windows --input requests --sli available",
        expect![[r#"
        0
        available  status < 500, 2026-01-05T10:00:00Z to 2026-01-05T10:04:00Z, windows of 1m

        service=checkout  2 counted, 2 no traffic
          start                 events  good/total  verdict
          2026-01-05T10:00:00Z       3         1/2  counted     1 unjudged
          2026-01-05T10:01:00Z       0           -  no traffic
          2026-01-05T10:02:00Z       0           -  no traffic
          2026-01-05T10:03:00Z       1         1/1  counted
    "#]],
    );
    files.check(
        "windows --input requests --sli fast --window 5m",
        expect![[r#"
        0
        fast  latency at most 300000 us, 2026-01-05T10:00:00Z to 2026-01-05T10:05:00Z, windows of 5m

        service=checkout  1 counted
          start                 events  good/total  verdict
          2026-01-05T10:00:00Z       5         2/4  counted  1 unjudged
    "#]],
    );
    files.check(
        "windows --input requests --sli p50",
        expect![[r#"
            0
            p50  50% of the requests within 100000 us, 2026-01-05T10:00:00Z to 2026-01-05T10:04:00Z, slices of 1m

            service=checkout  1 of 4 good (25.00%), 2 no traffic
              start                 events  in time/total  verdict
              2026-01-05T10:00:00Z       4            0/3  bad         1 unjudged
              2026-01-05T10:01:00Z       0              -  no traffic  counts as bad
              2026-01-05T10:02:00Z       0              -  no traffic  counts as bad
              2026-01-05T10:03:00Z       1            1/1  good
        "#]],
    );
    files.check(
        "windows --input requests --sli busy",
        expect![[r#"
        0
        busy  at least 0.05 per second, 2026-01-05T10:00:00Z to 2026-01-05T10:04:00Z, slices of 1m

        service=checkout  1 of 4 good (25.00%)
          start                 events  per second  verdict
          2026-01-05T10:00:00Z       4    0.066666  good
          2026-01-05T10:01:00Z       0           0  bad
          2026-01-05T10:02:00Z       0           0  bad
          2026-01-05T10:03:00Z       1    0.016666  bad
    "#]],
    );
    files.check(
        "windows --input scores --sli satisfied",
        expect![[r#"
            0
            satisfied  mean at least 4, 2026-01-05T10:00:00Z to 2026-01-05T10:03:00Z, slices of 1m

            service=checkout version=1  0 of 1 good (0.00%), 2 no traffic
              start                 events  value  verdict
              2026-01-05T10:00:00Z       2   3.75  bad
              2026-01-05T10:01:00Z       0      -  no traffic
              2026-01-05T10:02:00Z       0      -  no traffic

            service=checkout version=2  1 of 1 good (100.00%); slices without events are not listed, nor counted here (2)
              start                 events  value  verdict
              2026-01-05T10:02:00Z       1      4  good
        "#]],
    );
    files.check(
        "windows --input scores --sli audited",
        expect![[r#"
        0
        audited  good of total, 2026-01-05T10:00:00Z to 2026-01-05T10:03:00Z, windows of 1m

        service=checkout  1 counted, 2 no traffic
          start                 events  good/total  verdict
          2026-01-05T10:00:00Z   1,000    998/1000  counted
          2026-01-05T10:01:00Z       0           -  no traffic
          2026-01-05T10:02:00Z       0           -  no traffic
    "#]],
    );
    files.check(
        "windows --input resources --sli saturated",
        expect![[r#"
        0
        saturated  max at most 0.9, 2026-01-05T10:00:00Z to 2026-01-05T10:03:00Z, slices of 1m

        service=checkout  1 of 2 good (50.00%), 1 no traffic
          start                 events  value  verdict
          2026-01-05T10:00:00Z       2   0.95  bad
          2026-01-05T10:01:00Z       0      -  no traffic
          2026-01-05T10:02:00Z       1    0.1  good
    "#]],
    );
    files.check(
        "windows --input resources --sli sampled",
        expect![[r#"
        0
        sampled  newest event at most 90s old, 2026-01-05T10:00:00Z to 2026-01-05T10:03:00Z, slices of 1m

        service=checkout  2 of 3 good (66.66%)
          start                 events         us  verdict
          2026-01-05T10:00:00Z       2   58000000  good
          2026-01-05T10:01:00Z       0  118000000  bad
          2026-01-05T10:02:00Z       1   55000000  good
    "#]],
    );
}

#[test]
fn lines_of_json() {
    let files = counted();
    files.check("windows --input requests --sli p50 --json", expect![[r#"
        0
        {"sli":"p50","labels":{"service":"checkout"},"start":"2026-01-05T10:00:00Z","end":"2026-01-05T10:01:00Z","verdict":"bad","good":0,"value":"0/3","unit":"in time/total","events":4,"unjudged":1}
        {"sli":"p50","labels":{"service":"checkout"},"start":"2026-01-05T10:01:00Z","end":"2026-01-05T10:02:00Z","verdict":"no_traffic","good":0,"unit":"in time/total","events":0,"unjudged":0}
        {"sli":"p50","labels":{"service":"checkout"},"start":"2026-01-05T10:02:00Z","end":"2026-01-05T10:03:00Z","verdict":"no_traffic","good":0,"unit":"in time/total","events":0,"unjudged":0}
        {"sli":"p50","labels":{"service":"checkout"},"start":"2026-01-05T10:03:00Z","end":"2026-01-05T10:04:00Z","verdict":"good","good":1,"value":"1/1","unit":"in time/total","events":1,"unjudged":0}
    "#]]);
    files.check("windows --input scores --sli satisfied --json", expect![[r#"
        0
        {"sli":"satisfied","labels":{"service":"checkout","version":"1"},"start":"2026-01-05T10:00:00Z","end":"2026-01-05T10:01:00Z","verdict":"bad","good":0,"value":"3.75","unit":"value","events":2,"unjudged":0}
        {"sli":"satisfied","labels":{"service":"checkout","version":"1"},"start":"2026-01-05T10:01:00Z","end":"2026-01-05T10:02:00Z","verdict":"no_traffic","unit":"value","events":0,"unjudged":0}
        {"sli":"satisfied","labels":{"service":"checkout","version":"1"},"start":"2026-01-05T10:02:00Z","end":"2026-01-05T10:03:00Z","verdict":"no_traffic","unit":"value","events":0,"unjudged":0}
        {"sli":"satisfied","labels":{"service":"checkout","version":"2"},"start":"2026-01-05T10:02:00Z","end":"2026-01-05T10:03:00Z","verdict":"good","good":1,"value":"4","unit":"value","events":1,"unjudged":0}
    "#]]);
    files.check("windows --input resources --sli sampled --json --from 2026-01-05T10:01:00Z", expect![[r#"
        0
        {"sli":"sampled","labels":{"service":"checkout"},"start":"2026-01-05T10:01:00Z","end":"2026-01-05T10:02:00Z","verdict":"bad","good":0,"value":"118000000","unit":"us","events":0,"unjudged":0}
        {"sli":"sampled","labels":{"service":"checkout"},"start":"2026-01-05T10:02:00Z","end":"2026-01-05T10:03:00Z","verdict":"good","good":1,"value":"55000000","unit":"us","events":1,"unjudged":0}
    "#]]);
}

#[test]
fn csv_has_a_column_for_each_label() {
    let files = counted();
    files.check(
        "windows --input scores --sli satisfied --csv",
        expect![[r#"
        0
        sli,service,version,start,end,verdict,good,value,unit,events,unjudged
        satisfied,checkout,1,2026-01-05T10:00:00Z,2026-01-05T10:01:00Z,bad,0,3.75,value,2,0
        satisfied,checkout,1,2026-01-05T10:01:00Z,2026-01-05T10:02:00Z,no_traffic,,,value,0,0
        satisfied,checkout,1,2026-01-05T10:02:00Z,2026-01-05T10:03:00Z,no_traffic,,,value,0,0
        satisfied,checkout,2,2026-01-05T10:02:00Z,2026-01-05T10:03:00Z,good,1,4,value,1,0
    "#]],
    );
    files.check(
        "windows --input requests --sli available --csv",
        expect![[r#"
        0
        sli,service,start,end,verdict,good,value,unit,events,unjudged
        available,checkout,2026-01-05T10:00:00Z,2026-01-05T10:01:00Z,counted,,1/2,good/total,3,1
        available,checkout,2026-01-05T10:01:00Z,2026-01-05T10:02:00Z,no_traffic,,,good/total,0,0
        available,checkout,2026-01-05T10:02:00Z,2026-01-05T10:03:00Z,no_traffic,,,good/total,0,0
        available,checkout,2026-01-05T10:03:00Z,2026-01-05T10:04:00Z,counted,,1/1,good/total,1,0
    "#]],
    );
}

#[test]
fn the_same_facts_by_a_changed_objective() {
    let files = counted();
    let write = |name: &str, text: String| std::fs::write(files.path(name), text).expect("a place for temporary files");
    let all = documents("checkout", &SLIS);
    write("looser.yaml", all.replace("atLeast: 4", "atLeast: 3.75").replace("atMostUs: 100000", "atMostUs: 120000"));
    write("longer.yaml", all.replace("slice: 1m", "slice: 2m").replace("empty: bad, ", ""));
    write("other-filter.yaml", all.replace("'satisfaction'", "'groundedness'"));
    write(
        "other-kind.yaml",
        all.replace("percentile: {quantile: 0.5, atMostUs: 100000}", "traffic: {atLeastPerSec: 1}")
            .replace("empty: bad, ", ""),
    );
    files.check(
        "windows --input scores --sli satisfied --definitions looser.yaml",
        expect![[r#"
            0
            satisfied  mean at least 3.75, 2026-01-05T10:00:00Z to 2026-01-05T10:03:00Z, slices of 1m

            service=checkout version=1  1 of 1 good (100.00%), 2 no traffic
              start                 events  value  verdict
              2026-01-05T10:00:00Z       2   3.75  good
              2026-01-05T10:01:00Z       0      -  no traffic
              2026-01-05T10:02:00Z       0      -  no traffic

            service=checkout version=2  1 of 1 good (100.00%); slices without events are not listed, nor counted here (2)
              start                 events  value  verdict
              2026-01-05T10:02:00Z       1      4  good
        "#]],
    );
    files.check(
        "windows --input requests --sli p50 --definitions looser.yaml",
        expect![[r#"
            0
            p50  50% of the requests within 120000 us, 2026-01-05T10:00:00Z to 2026-01-05T10:04:00Z, slices of 1m

            service=checkout  1 of 4 good (25.00%), 2 no traffic
              start                 events  in time/total  verdict
              2026-01-05T10:00:00Z       4         0..1/3  bad         1 unjudged
              2026-01-05T10:01:00Z       0              -  no traffic  counts as bad
              2026-01-05T10:02:00Z       0              -  no traffic  counts as bad
              2026-01-05T10:03:00Z       1            1/1  good
        "#]],
    );
    files.check(
        "windows --input requests --sli p50 --definitions longer.yaml",
        expect![[r#"
            0
            p50  50% of the requests within 100000 us, 2026-01-05T10:00:00Z to 2026-01-05T10:04:00Z, slices of 2m

            service=checkout  1 of 2 good (50.00%)
              start                 events  in time/total  verdict
              2026-01-05T10:00:00Z       4            0/3  bad      1 unjudged
              2026-01-05T10:02:00Z       1            1/1  good
        "#]],
    );
    files.check("windows --input scores --sli satisfied --definitions other-filter.yaml", expect![[r#"
        2
        ---
        streamgauge: satisfied was counted by another `filter` than that of --definitions; count the events again. Bounds, slices, quantiles and `empty` can change without that
    "#]]);
    files.check("windows --input requests --sli p50 --definitions other-kind.yaml", expect![[r#"
        2
        ---
        streamgauge: p50 was counted by another `percentile` than that of --definitions; count the events again. Bounds, slices, quantiles and `empty` can change without that
    "#]]);
    std::fs::remove_file(files.path("scores/sli.state.jsonl")).expect("the backfill wrote it");
    files.check("windows --input scores --sli satisfied", expect![[r#"
        1
        ---
        streamgauge: couldn't open scores/sli.state.jsonl; --input takes a directory that `streamgauge backfill --out` wrote, --brokers reads Kafka: No such file or directory (os error 2)
    "#]]);
    files.check("windows --input scores --sli satisfied --definitions looser.yaml", expect![[r#"
        0
        satisfied  mean at least 3.75, 2026-01-05T10:00:00Z to 2026-01-05T10:03:00Z, slices of 1m

        service=checkout version=1  1 of 1 good (100.00%), 2 no traffic
          start                 events  value  verdict
          2026-01-05T10:00:00Z       2   3.75  good
          2026-01-05T10:01:00Z       0      -  no traffic
          2026-01-05T10:02:00Z       0      -  no traffic

        service=checkout version=2  1 of 1 good (100.00%); slices without events are not listed, nor counted here (2)
          start                 events  value  verdict
          2026-01-05T10:02:00Z       1      4  good
        ---
        warning: nobody can tell whether satisfied was counted by the same filter: couldn't open scores/sli.state.jsonl; --input takes a directory that `streamgauge backfill --out` wrote, --brokers reads Kafka: No such file or directory (os error 2)
    "#]]);
    // A state topic that has forgotten them is no reason to refuse, either.
    std::fs::write(files.path("scores/sli.state.jsonl"), "").expect("a place for temporary files");
    let forgotten = files.run("windows --input scores --sli satisfied --definitions looser.yaml", "");
    assert!(forgotten.starts_with("0\n") && forgotten.contains("nobody can tell"), "{forgotten}");
    let asked = files.run("windows --input scores --sli satisfied", "");
    assert!(asked.starts_with("1\n") && asked.contains("name the files by --definitions"), "{asked}");
}

#[test]
fn what_the_caller_has_to_correct() {
    let files = counted();
    files.check("windows --input requests --sli slow", expect![[r#"
        2
        ---
        streamgauge: no SLI is called "slow"; defined are: audited, available, busy, fast, p50, sampled, satisfied, saturated
    "#]]);
    files.check(
        "windows --input requests --sli p50 --window 5m",
        expect![[r#"
        2
        ---
        streamgauge: p50 is judged in slices of 1m, not of 5m; leave --window away
    "#]],
    );
    files.check("windows --input requests --sli fast --window 15s", expect![[r#"
        2
        ---
        streamgauge: a window of 15s is not a multiple of the panes of 10s that were recorded; the next longer one has 20s
    "#]]);
    files.check("windows --input nowhere --sli fast", expect![[r#"
        1
        ---
        streamgauge: couldn't open nowhere/sli.windows.jsonl; --input takes a directory that `streamgauge backfill --out` wrote, --brokers reads Kafka: No such file or directory (os error 2)
    "#]]);
}

#[test]
fn an_sli_of_another_topic_has_no_slices_here() {
    counted().check(
        "windows --input requests --sli satisfied",
        expect![[r#"
            0
            no slices: no event of scores has been counted here, or none lies between --from and --to
        "#]],
    );
}

#[test]
fn what_can_t_be_told_is_refused_or_stands_as_a_range() {
    // One of ten lies in the counter that holds the limit: eight or nine are within.
    let mut events: Vec<String> = (0..8).map(|_| request(0, 100_000)).collect();
    events.extend([request(0, 107_100), request(0, 200_000), request(60, 1_000)]);
    let sli = |limit: u64| {
        let spec = format!("topic: requests, slice: 1m, percentile: {{quantile: 0.9, atMostUs: {limit}}}");
        documents("checkout", &[("p90", &spec)])
    };
    let files =
        Files::new(&[("slis.yaml", &sli(500_000)), ("other.yaml", &sli(107_500)), ("one.jsonl", &events.concat())]);
    files.run("backfill --event request --input one.jsonl --out out --definitions slis.yaml", "");
    files.check(
        "windows --input out --sli p90 --definitions other.yaml",
        expect![[r#"
            0
            p90  90% of the requests within 107500 us, 2026-01-05T10:00:00Z to 2026-01-05T10:02:00Z, slices of 1m

            service=checkout  1 to 2 of 2 good (50.00% to 100.00%), 1 unknown
              start                 events  in time/total  verdict
              2026-01-05T10:00:00Z      10        8..9/10  unknown
              2026-01-05T10:01:00Z       1            1/1  good
        "#]],
    );
    files.check(
        "windows --input out --sli p90 --service search",
        expect![[r#"
            2
            ---
            streamgauge: p90 is about checkout, not about search; leave --service away
        "#]],
    );

    // Seconds where microseconds were meant: 1970.
    let seconds = r#"{"ts":1767607200,"service":"checkout","latency_us":5}"#;
    std::fs::write(files.path("two.jsonl"), format!("{seconds}\n{}", events.concat())).expect("a place for files");
    files.run("backfill --event request --input two.jsonl --out early --definitions slis.yaml", "");
    files.check("windows --input early --sli p90", expect![[r#"
        2
        ---
        streamgauge: from 1970-01-01T00:29:00Z to 2026-01-05T10:02:00Z there are more than 200000 slices; take --from and --to closer together
    "#]]);
    files.check(
        "windows --input early --sli p90 --from 2026-01-05T09:58:00Z",
        expect![[r#"
            0
            p90  90% of the requests within 500000 us, 2026-01-05T09:58:00Z to 2026-01-05T10:02:00Z, slices of 1m

            service=checkout  2 of 2 good (100.00%), 2 no traffic
              start                 events  in time/total  verdict
              2026-01-05T09:58:00Z       0              -  no traffic
              2026-01-05T09:59:00Z       0              -  no traffic
              2026-01-05T10:00:00Z      10          10/10  good
              2026-01-05T10:01:00Z       1            1/1  good
        "#]],
    );
}

/// So many seconds into the day on which all of this happens.
fn request(seconds: i64, latency_us: u64) -> String {
    let ts = 1_767_607_200_000_000 + seconds * 1_000_000;
    format!("{{\"ts\":{ts},\"service\":\"checkout\",\"latency_us\":{latency_us}}}\n")
}
