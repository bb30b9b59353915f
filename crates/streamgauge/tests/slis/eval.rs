//! `streamgauge eval`: samples → what an SLI makes of them.

use expect_test::expect;

use crate::program::{Files, documents};

const REQUESTS: &str = r#"{"ts":1767607201000000,"service":"checkout","route":"/pay","status":200,"latency_us":120000}
{"ts":1767607202000000,"service":"checkout","route":"/pay","status":503,"latency_us":2000}
{"ts":1767607203000000,"service":"checkout","route":"/pay","latency_us":300001}

{"ts":1767607204000000,"service":"checkout","route":"/pay"}
{"ts":1767607205000000,"service":"checkout","route":"/cart","status":200}
{"ts":1767607206000000,"service":"checkout","status":200}
{"ts":1767607207000000,"service":"search","route":"/pay","status":200}
{"ts":"today","service":"checkout"}
nonsense
"#;

const SCORES: &str = r#"{"ts":1767607201000000,"service":"checkout","metric":"satisfaction","value":4.5}
{"ts":1767607202000000,"service":"checkout","metric":"satisfaction","good":9,"total":10}
{"ts":1767607203000000,"service":"checkout","metric":"satisfaction","value":4,"good":1,"total":1,"attributes":{"plan":"gold"}}
"#;

fn files() -> Files {
    let slis = documents(
        "checkout",
        &[
            ("available", "topic: requests, filter: route == '/pay', good: status > 0 && status < 500"),
            ("fast", "topic: requests, latencyThresholdUs: 300000, failures: exclude"),
            ("busy", "topic: requests, slice: 5m, traffic: {atLeastPerSec: 1}"),
            ("satisfied", "topic: scores, slice: 5m, groupBy: {attributes.plan: [gold]}, mean: {atLeast: 4}"),
            ("audited", "topic: scores, goodCount: good, totalCount: total"),
        ],
    );
    Files::new(&[("slis.yaml", &slis), ("requests.jsonl", REQUESTS), ("scores.jsonl", SCORES)])
}

#[test]
fn outcomes_with_their_reasons() {
    files().check(
        "eval --definitions slis.yaml --sli available --input requests.jsonl",
        expect![[r#"
        0
        1: {"ts":1767607201000000,"service":"checkout","route":"/pay","status":200,"latency_us":120000}
           good: `good` holds
           filter: route == '/pay' → yes  (route = "/pay")
           good: status > 0 && status < 500 → yes
           good:   status > 0 → yes  (status = 200)
           good:   status < 500 → yes  (status = 200)
        2: {"ts":1767607202000000,"service":"checkout","route":"/pay","status":503,"latency_us":2000}
           bad: `good` does not hold
           filter: route == '/pay' → yes  (route = "/pay")
           good: status > 0 && status < 500 → no
           good:   status > 0 → yes  (status = 503)
           good:   status < 500 → no  (status = 503)
        3: {"ts":1767607203000000,"service":"checkout","route":"/pay","latency_us":300001}
           unjudged: it lacks what `good` asks for
           filter: route == '/pay' → yes  (route = "/pay")
           good: status > 0 && status < 500 → undecided
           good:   status > 0 → undecided  (status is absent)
           good:   status < 500 → undecided  (status is absent)
        5: {"ts":1767607204000000,"service":"checkout","route":"/pay"}
           unjudged: it lacks what `good` asks for
           filter: route == '/pay' → yes  (route = "/pay")
           good: status > 0 && status < 500 → undecided
           good:   status > 0 → undecided  (status is absent)
           good:   status < 500 → undecided  (status is absent)
        6: {"ts":1767607205000000,"service":"checkout","route":"/cart","status":200}
           not matched: the filter does not hold
           filter: route == '/pay' → no  (route = "/cart")
        7: {"ts":1767607206000000,"service":"checkout","status":200}
           not matched: it lacks what the filter asks for
           filter: route == '/pay' → undecided  (route is absent)
        8: {"ts":1767607207000000,"service":"search","route":"/pay","status":200}
           other service: it belongs to search; the SLI measures checkout
        9: {"ts":"today","service":"checkout"}
           dead letter: wrong_type: ts must be an integer, not "today"
        10: nonsense
           dead letter: undecodable: expected ident at line 1 column 2
        1 good, 1 bad, 2 unjudged, 0 used, 3 not counted, 2 rejected (request events of requests, good)
    "#]],
    );
    files().check(
        "eval --definitions slis.yaml --sli fast --input requests.jsonl",
        expect![[r#"
        0
        1: {"ts":1767607201000000,"service":"checkout","route":"/pay","status":200,"latency_us":120000}
           good: 120000 us is within 300000 us
        2: {"ts":1767607202000000,"service":"checkout","route":"/pay","status":503,"latency_us":2000}
           left out: it failed, and failures are excluded
        3: {"ts":1767607203000000,"service":"checkout","route":"/pay","latency_us":300001}
           bad: 300001 us is above 300000 us
        5: {"ts":1767607204000000,"service":"checkout","route":"/pay"}
           unjudged: it has no latency
        6: {"ts":1767607205000000,"service":"checkout","route":"/cart","status":200}
           unjudged: it has no latency
        7: {"ts":1767607206000000,"service":"checkout","status":200}
           unjudged: it has no latency
        8: {"ts":1767607207000000,"service":"search","route":"/pay","status":200}
           other service: it belongs to search; the SLI measures checkout
        9: {"ts":"today","service":"checkout"}
           dead letter: wrong_type: ts must be an integer, not "today"
        10: nonsense
           dead letter: undecodable: expected ident at line 1 column 2
        1 good, 1 bad, 3 unjudged, 0 used, 2 not counted, 2 rejected (request events of requests, latency threshold)
    "#]],
    );
    files().check(
        "eval --definitions slis.yaml --sli busy --input requests.jsonl --only used,not_counted",
        expect![[r#"
            0
            1: {"ts":1767607201000000,"service":"checkout","route":"/pay","status":200,"latency_us":120000}
               used: every event of the slice counts
            2: {"ts":1767607202000000,"service":"checkout","route":"/pay","status":503,"latency_us":2000}
               used: every event of the slice counts
            3: {"ts":1767607203000000,"service":"checkout","route":"/pay","latency_us":300001}
               used: every event of the slice counts
            5: {"ts":1767607204000000,"service":"checkout","route":"/pay"}
               used: every event of the slice counts
            6: {"ts":1767607205000000,"service":"checkout","route":"/cart","status":200}
               used: every event of the slice counts
            7: {"ts":1767607206000000,"service":"checkout","status":200}
               used: every event of the slice counts
            8: {"ts":1767607207000000,"service":"search","route":"/pay","status":200}
               other service: it belongs to search; the SLI measures checkout
            0 good, 0 bad, 0 unjudged, 6 used, 1 not counted, 2 rejected (request events of requests, traffic)
        "#]],
    );
    files().check("eval --definitions slis.yaml --sli satisfied --input scores.jsonl", expect![[r#"
        0
        1: {"ts":1767607201000000,"service":"checkout","metric":"satisfaction","value":4.5}
           used: its value goes into the slice
           series: attributes.plan=(absent)
        2: {"ts":1767607202000000,"service":"checkout","metric":"satisfaction","good":9,"total":10}
           unjudged: it has no value
           series: attributes.plan=(absent)
        3: {"ts":1767607203000000,"service":"checkout","metric":"satisfaction","value":4,"good":1,"total":1,"attributes":{"plan":"gold"}}
           used: its value goes into the slice
           series: attributes.plan=gold
        0 good, 0 bad, 1 unjudged, 2 used, 0 not counted, 0 rejected (score events of scores, mean)
    "#]]);
    files().check("eval --definitions slis.yaml --sli audited --input scores.jsonl", expect![[r#"
        0
        1: {"ts":1767607201000000,"service":"checkout","metric":"satisfaction","value":4.5}
           left out: it carries no counts, so it adds nothing
        2: {"ts":1767607202000000,"service":"checkout","metric":"satisfaction","good":9,"total":10}
           9 of 10: so many are added up
        3: {"ts":1767607203000000,"service":"checkout","metric":"satisfaction","value":4,"good":1,"total":1,"attributes":{"plan":"gold"}}
           1 of 1: so many are added up
        0 good, 0 bad, 0 unjudged, 2 used, 1 not counted, 0 rejected (score events of scores, counts)
    "#]]);
}

#[test]
fn only_some_outcomes_are_shown_and_all_are_counted() {
    files().check(
        "eval --definitions slis.yaml --sli available --input requests.jsonl --only unjudged,rejected",
        expect![[r#"
            0
            3: {"ts":1767607203000000,"service":"checkout","route":"/pay","latency_us":300001}
               unjudged: it lacks what `good` asks for
               filter: route == '/pay' → yes  (route = "/pay")
               good: status > 0 && status < 500 → undecided
               good:   status > 0 → undecided  (status is absent)
               good:   status < 500 → undecided  (status is absent)
            5: {"ts":1767607204000000,"service":"checkout","route":"/pay"}
               unjudged: it lacks what `good` asks for
               filter: route == '/pay' → yes  (route = "/pay")
               good: status > 0 && status < 500 → undecided
               good:   status > 0 → undecided  (status is absent)
               good:   status < 500 → undecided  (status is absent)
            9: {"ts":"today","service":"checkout"}
               dead letter: wrong_type: ts must be an integer, not "today"
            10: nonsense
               dead letter: undecodable: expected ident at line 1 column 2
            1 good, 1 bad, 2 unjudged, 0 used, 3 not counted, 2 rejected (request events of requests, good)
        "#]],
    );
}

#[test]
fn lines_of_json_for_programs() {
    files().check("eval --definitions slis.yaml --sli available --input requests.jsonl --json", expect![[r#"
        0
        {"filter":[{"depth":0,"found":"route = \"/pay\"","holds":true,"text":"route == '/pay'"}],"good":[{"depth":0,"found":"","holds":true,"text":"status > 0 && status < 500"},{"depth":1,"found":"status = 200","holds":true,"text":"status > 0"},{"depth":1,"found":"status = 200","holds":true,"text":"status < 500"}],"labels":{},"line":1,"outcome":"good","why":"`good` holds"}
        {"filter":[{"depth":0,"found":"route = \"/pay\"","holds":true,"text":"route == '/pay'"}],"good":[{"depth":0,"found":"","holds":false,"text":"status > 0 && status < 500"},{"depth":1,"found":"status = 503","holds":true,"text":"status > 0"},{"depth":1,"found":"status = 503","holds":false,"text":"status < 500"}],"labels":{},"line":2,"outcome":"bad","why":"`good` does not hold"}
        {"filter":[{"depth":0,"found":"route = \"/pay\"","holds":true,"text":"route == '/pay'"}],"good":[{"depth":0,"found":"","holds":null,"text":"status > 0 && status < 500"},{"depth":1,"found":"status is absent","holds":null,"text":"status > 0"},{"depth":1,"found":"status is absent","holds":null,"text":"status < 500"}],"labels":{},"line":3,"outcome":"unjudged","why":"it lacks what `good` asks for"}
        {"filter":[{"depth":0,"found":"route = \"/pay\"","holds":true,"text":"route == '/pay'"}],"good":[{"depth":0,"found":"","holds":null,"text":"status > 0 && status < 500"},{"depth":1,"found":"status is absent","holds":null,"text":"status > 0"},{"depth":1,"found":"status is absent","holds":null,"text":"status < 500"}],"labels":{},"line":5,"outcome":"unjudged","why":"it lacks what `good` asks for"}
        {"filter":[{"depth":0,"found":"route = \"/cart\"","holds":false,"text":"route == '/pay'"}],"good":[],"labels":{},"line":6,"outcome":"not_matched","why":"the filter does not hold"}
        {"filter":[{"depth":0,"found":"route is absent","holds":null,"text":"route == '/pay'"}],"good":[],"labels":{},"line":7,"outcome":"not_matched","why":"it lacks what the filter asks for"}
        {"filter":[],"good":[],"labels":{},"line":8,"outcome":"other_service","why":"it belongs to search; the SLI measures checkout"}
        {"line":9,"outcome":"rejected","reason":"wrong_type","why":"ts must be an integer, not \"today\""}
        {"line":10,"outcome":"rejected","reason":"undecodable","why":"expected ident at line 1 column 2"}
    "#]]);
}

#[test]
fn standard_input_is_a_dash() {
    let lines: String = REQUESTS.lines().take(1).map(|line| format!("{line}\r\n")).collect();
    expect![[r#"
        0
        1: {"ts":1767607201000000,"service":"checkout","route":"/pay","status":200,"latency_us":120000}
           good: 120000 us is within 300000 us
        1 good, 0 bad, 0 unjudged, 0 used, 0 not counted, 0 rejected (request events of requests, latency threshold)
    "#]]
    .assert_eq(&files().run("eval --definitions slis.yaml --sli fast --input -", &lines));
    expect![[r#"
        0
        0 good, 0 bad, 0 unjudged, 0 used, 0 not counted, 0 rejected (request events of requests, latency threshold)
    "#]]
    .assert_eq(&files().run("eval --definitions slis.yaml --sli fast --input -", ""));
}

#[test]
fn what_the_caller_has_to_correct() {
    files().check(
        "eval --definitions slis.yaml --sli slow --input requests.jsonl",
        expect![[r#"
        2
        ---
        streamgauge: no SLI is called "slow"; the definitions have audited, available, busy, fast, satisfied
    "#]],
    );
    files().check(
        "eval --definitions slis.yaml --sli fast --input nowhere.jsonl",
        expect![[r#"
        2
        ---
        streamgauge: couldn't open nowhere.jsonl: No such file or directory (os error 2)
    "#]],
    );
    files().check(
        "eval --definitions nowhere.yaml --sli fast --input requests.jsonl",
        expect![[r#"
        2
        ---
        streamgauge: couldn't read definitions nowhere.yaml: No such file or directory (os error 2)
    "#]],
    );
    files().check("eval --definitions requests.jsonl --sli fast --input requests.jsonl", expect![[r#"
        2
        ---
        streamgauge: requests.jsonl:1:1: apiVersion: found no such key; expected `openslo/v1`. Add `apiVersion:`.
        requests.jsonl:1:1: kind: found no such key; expected one of `Service`, `DataSource`, `SLI`, `AlertNotificationTarget`, `AlertCondition`, `AlertPolicy`, `SLO`. Add `kind:`.
        requests.jsonl:1:1: metadata: found no such key; expected a block with the name. Add `metadata:`.
        requests.jsonl:2:1: the document: found a mistake of syntax (did not find expected <document start>); expected valid YAML. Look at the indentation and the quotes there and just above.
    "#]]);
}

#[test]
fn a_line_that_no_topic_would_take_is_one_rejected_sample() {
    let long = format!("{{\"ts\":1,\"service\":\"checkout\",\"x\":\"{}\"}}\n", "x".repeat(1 << 20));
    let lines = format!("{long}{}", REQUESTS.lines().next().unwrap_or_default());
    let found = files().run("eval --definitions slis.yaml --sli fast --input - --json", &lines);
    assert_eq!(found.lines().count(), 3, "{found}");
}
