//! `streamgauge gate` and `streamgauge override`: what they answer, and the codes that they end with.

use expect_test::expect;
use serde_json::Value;

use crate::program::Files;
use crate::slos::{slos, traffic};

/// Of an hour, one request in ten may be bad.
const PROMISE: [(&str, &str, &str); 1] = [("available", "ok", "0.9")];

/// An hour of calm, and forty minutes in which nine of sixty are bad: 360 of 3,600 after so many minutes of calm behind it.
fn trouble(minutes_after: usize) -> [(usize, i64, i64); 3] {
    [(60, 60, 0), (40, 60, 9), (minutes_after, 60, 0)]
}

/// Counted into `out`; the last bad one has not left the window before 12:40.
fn counted(parts: &[(usize, i64, i64)], definitions: &str) -> Files {
    let files = Files::new(&[("slos.yaml", definitions), ("events.jsonl", &traffic(parts))]);
    let backfill = "backfill --quiet --event request --input events.jsonl --definitions slos.yaml --out out";
    assert_eq!(files.run(backfill, ""), "0\n");
    files
}

fn of_an_hour(promises: &[(&str, &str, &str)]) -> String {
    slos(promises).replace("duration: 30d", "duration: 1h")
}

/// With an alarm of one's own in place of the usual ones; `""`: none.
fn alarmed(condition: &str) -> String {
    let text = of_an_hour(&PROMISE);
    if condition.is_empty() {
        return text.replace("objectives:", "alertPolicies: []\n  objectives:");
    }
    text.replace("objectives:", "alertPolicies: [mine]\n  objectives:")
        + &format!(
            "---\napiVersion: openslo/v1\nkind: AlertPolicy\nmetadata: {{name: mine}}\nspec: {{conditions: [{{conditionRef: spent}}], \
             notificationTargets: []}}\n---\napiVersion: openslo/v1\nkind: AlertCondition\nmetadata: {{name: spent}}\n\
             spec: {{severity: critical, condition: {{{condition}}}}}\n"
        )
}

/// The exit code, and the answer.
#[track_caller]
fn check(files: &Files, arguments: &str, expected: &str) {
    let text = files.run(&format!("gate --json {arguments}"), "");
    let (code, out) = text.split_once('\n').expect("the code stands in the first line");
    let found: Option<Value> = out.lines().next().and_then(|line| serde_json::from_str(line).ok());
    let answer = found.map_or_else(|| "-".to_owned(), |found| found["answer"].as_str().unwrap_or("?").to_owned());
    assert_eq!(format!("{code} {answer}"), expected, "gate {arguments}: {text}");
}

const CHECKOUT: &str = "--service checkout --input out";

#[test]
fn a_service_is_frozen_until_some_of_its_budget_is_left_again() {
    let usual = of_an_hour(&PROMISE);
    let own = "kind: remaining, op: lte, threshold: 0";
    let late = "kind: remaining, op: lte, threshold: 0, alertAfter: 30m";
    let low = "kind: remaining, op: lt, threshold: 0.5";
    for (definitions, parts, expected) in [
        (&usual, &[(60, 60, 0)][..], "0 go"),
        (&usual, &[(60, 60, 0), (39, 60, 9)], "0 go"),
        (&usual, &[(60, 60, 0), (40, 60, 9)], "10 frozen"),
        (&usual, &trouble(20), "10 frozen"),
        // 351 are bad: 2.5% are left, and the alarm goes on.
        (&usual, &trouble(21), "10 frozen"),
        // 342: 5%.
        (&usual, &trouble(22), "0 go"),
        (&usual, &trouble(70), "0 go"),
        // Nobody watches for a spent budget.
        (&alarmed(""), &trouble(20), "10 frozen"),
        (&alarmed(""), &trouble(21), "0 go"),
        (&alarmed(low), &trouble(20), "10 frozen"),
        (&alarmed(low), &trouble(21), "0 go"),
        // An alarm of one's own, whatever its name; one that waits before it fires holds as well.
        (&alarmed(own), &trouble(21), "10 frozen"),
        (&alarmed(own), &trouble(22), "0 go"),
        (&alarmed(late), &[(60, 60, 0), (40, 60, 9), (5, 60, 0)], "10 frozen"),
        // A window without anything in it says nothing.
        (&usual, &[(60, 60, 0), (40, 60, 9), (61, 0, 0), (1, 60, 0)], "0 go"),
    ] {
        let files = counted(parts, definitions);
        check(&files, CHECKOUT, expected);
        let rollback = expected.replace("10 ", "0 ");
        check(&files, &format!("{CHECKOUT} --rollback"), &rollback);
    }
}

#[test]
fn who_can_not_tell_says_so() {
    let files = counted(&trouble(0), &of_an_hour(&[("available", "ok", "0.9"), ("teapots", "rare", "0.9")]));
    for (arguments, expected) in [
        // What is spent is sure, whatever else nobody knows.
        (CHECKOUT, "10 frozen"),
        ("--service checkout --input out --slo available", "10 frozen"),
        ("--service checkout --input out --slo teapots", "11 unknown"),
        ("--service checkout --input out --slo nothing", "11 unknown"),
        ("--service search --input out", "11 unknown"),
        ("--service search --input out --rollback", "0 unknown"),
        ("--service checkout --input nowhere", "11 unknown"),
        ("--service checkout --input nowhere --rollback", "0 unknown"),
        ("--service checkout --brokers 127.0.0.1:1 --rollback", "0 unknown"),
        ("--service checkout --brokers 127.0.0.1:1", "11 unknown"),
        ("--input out", "2 -"),
        ("--service checkout --input out --behind-after soon", "2 -"),
        ("--service checkout --now 2026-01-05T12:00:00Z", "2 -"),
        ("--service checkout --input out --definitions events.jsonl", "2 -"),
        ("--service checkout --input out --definitions events.jsonl --rollback", "0 unknown"),
    ] {
        check(&files, arguments, expected);
    }
    let files = counted(&trouble(0), &of_an_hour(&[]));
    check(&files, CHECKOUT, "11 unknown");
}

#[test]
fn who_is_behind_never_lets_go() {
    let calm = counted(&[(60, 60, 0)], &of_an_hour(&PROMISE));
    let spent = counted(&trouble(0), &of_an_hour(&PROMISE));
    decide(&spent, "--service checkout --expires 6h --now 2026-01-05T11:30:00Z", 0);
    for (files, ends, minutes, expected) in [
        (&calm, "11:00:00", 0, "0 go"),
        (&calm, "11:05:00", 5, "0 go"),
        (&calm, "11:05:01", 5, "11 unknown"),
        (&calm, "11:05:01", 6, "0 go"),
        (&calm, "23:59:59", 5, "11 unknown"),
        // A clock that is a little behind what was counted; one that is further behind can't measure any lag.
        (&calm, "10:55:00", 5, "0 go"),
        (&calm, "10:54:59", 5, "11 unknown"),
        // An override is about what is spent, not about what nobody knows.
        (&spent, "11:45:00", 5, "0 go"),
        (&spent, "11:45:01", 5, "11 unknown"),
    ] {
        let minutes = minutes.max(1);
        let arguments = format!("{CHECKOUT} --behind-after {minutes}m --now 2026-01-05T{ends}Z");
        check(files, &arguments, expected);
        check(files, &format!("{arguments} --rollback"), &expected.replace("11 ", "0 "));
    }
    // Without being asked to, nobody says of a file that it is old.
    check(&calm, &format!("{CHECKOUT} --now 2026-01-05T23:59:59Z"), "0 go");
}

#[test]
fn a_partition_that_nobody_heard_of_may_hold_what_broke() {
    let files = counted(&[(60, 60, 0)], &of_an_hour(&PROMISE));
    let path = files.path("out/sli.windows.jsonl");
    let facts = std::fs::read_to_string(&path).expect("counted");
    let write = |text: &str| std::fs::write(&path, text).expect("a temporary file");
    write(&facts.replace("\"partitions\":1", "\"partitions\":3"));
    check(&files, CHECKOUT, "11 unknown");
    check(&files, &format!("{CHECKOUT} --rollback"), "0 unknown");
    let last = facts.lines().count() - 10;
    let batch = |line: &str| serde_json::from_str::<Value>(line).expect("a fact")["batch"].clone();
    let gone = batch(facts.lines().nth(last).expect("there are more"));
    write(&facts.lines().filter(|line| batch(line) != gone).map(|line| format!("{line}\n")).collect::<String>());
    check(&files, CHECKOUT, "11 unknown");
    write("");
    check(&files, CHECKOUT, "11 unknown");
}

/// Writes an override, and says which.
#[track_caller]
fn decide(files: &Files, arguments: &str, expected: i32) -> String {
    let text = files.run(&format!("override --json --actor ann --reason CHK-77 --input out {arguments}"), "");
    let (code, out) = text.split_once('\n').expect("the code stands in the first line");
    assert_eq!(code, expected.to_string(), "override {arguments}: {text}");
    let found: Option<Value> = out.lines().next().and_then(|line| serde_json::from_str(line).ok());
    found.map_or_else(String::new, |found| found["id"].as_str().unwrap_or_default().to_owned())
}

#[test]
fn an_override_lets_go_for_a_while() {
    let files = counted(&trouble(0), &of_an_hour(&PROMISE));
    let at = |time: &str| format!("{CHECKOUT} --now 2026-01-05T{time}Z");
    check(&files, &at("12:00:00"), "10 frozen");
    let first = decide(&files, "--service checkout --expires 2h --now 2026-01-05T12:00:00Z", 0);
    for (time, expected) in [
        // A little before: clocks differ. Long before: nobody had decided anything.
        ("11:55:00", "0 go"),
        ("11:54:59", "10 frozen"),
        ("12:00:00", "0 go"),
        ("13:59:59", "0 go"),
        ("14:00:00", "10 frozen"),
    ] {
        check(&files, &at(time), expected);
    }
    let revoke =
        format!("override --input out --actor bob --reason done --now 2026-01-05T12:30:00Z --revoke {}", &first[..6]);
    assert!(files.run(&revoke, "").starts_with("0\n"));
    check(&files, &at("13:00:00"), "10 frozen");
    assert!(files.run(&revoke, "").contains("was revoked by bob already"));
    // One that holds is enough; a word on what can't be read, and what was decided for others, change nothing.
    decide(&files, "--service checkout --expires 10m --now 2026-01-05T13:00:00Z --tenant acme", 0);
    let path = files.path("out/commands.jsonl");
    let log = std::fs::read_to_string(&path).expect("it was written");
    std::fs::write(&path, log + "{\"kind\":\"silence\"}\nnothing").expect("a temporary file");
    check(&files, &at("13:01:00"), "10 frozen");
    decide(&files, "--service checkout --expires 10m --now 2026-01-05T13:00:00Z", 0);
    check(&files, &at("13:01:00"), "0 go");
    let text = files.run(&format!("gate {}", at("13:01:00")), "");
    for word in
        ["commands.jsonl:4: left out: kind \"silence\" is not known here", "commands.jsonl:5: left out: expected ident"]
    {
        assert!(text.contains(word), "{text}");
    }
}

#[test]
fn what_is_no_override() {
    let files = counted(&trouble(0), &of_an_hour(&PROMISE));
    for (arguments, code, expected) in [
        ("--service checkout --expires 169h --reason why", "2", "within 7 days"),
        ("--service checkout --expires 2h --reason=", "2", "the reason is empty"),
        ("--service checkout --expires 2h", "2", "--reason"),
        ("--service checkout --reason why", "2", "--expires"),
        ("--reason why --expires 2h", "2", "--service"),
        (
            "--service checkot --expires 2h --reason why",
            "2",
            "\"checkot\" has no SLO, so nothing freezes it; services with one: checkout",
        ),
        ("--revoke abc --reason why", "2", "0 overrides have an id that begins with \"abc\""),
        ("--revoke abc", "2", "--reason"),
        ("--list", "0", "no overrides"),
    ] {
        let text = files.run(&format!("override --input out {arguments}"), "");
        assert!(text.starts_with(&format!("{code}\n")) && text.contains(expected), "override {arguments}: {text}");
    }
    assert!(!files.path("out/commands.jsonl").exists(), "nothing was decided");
    std::fs::create_dir(files.path("empty")).expect("a temporary directory");
    let text = files.run("override --input empty --service checkot --expires 2h --reason why --actor ann", "");
    assert!(text.starts_with("0\n") && text.contains("warning: nobody can tell whether checkot has an SLO"), "{text}");
    let user = files.run("override --input out --service checkout --expires 2h --reason why --json", "");
    assert!(user.starts_with("0\n{\"id\":\""), "the user of this process decides: {user}");
}

#[test]
fn frozen_in_words() {
    let files = counted(&trouble(20), &of_an_hour(&PROMISE));
    files.check(
        "gate --service checkout --input out",
        expect![[r#"
            10
            frozen: a budget of checkout was spent and has not recovered

            available  90% of ok over 1h
              answer        frozen
              budget left   0.0%: 360 bad, and 360 may be
              frozen        since 2026-01-05T11:39:10Z by budget-exhausted, alert 3b881a4a
              may thaw      2026-01-05T12:01:10Z, when 5% are left again: if as much comes as came, and none of it is bad
              counted to    2026-01-05T12:00:00Z

            to deploy all the same: streamgauge override --service checkout --reason WHY --expires 2h
        "#]],
    );
    files.check(
        "gate --service checkout --input out --rollback",
        expect![[r#"
            0
            frozen: a budget of checkout was spent and has not recovered
              a rollback is exempt: this one may go

            available  90% of ok over 1h
              answer        frozen
              budget left   0.0%: 360 bad, and 360 may be
              frozen        since 2026-01-05T11:39:10Z by budget-exhausted, alert 3b881a4a
              may thaw      2026-01-05T12:01:10Z, when 5% are left again: if as much comes as came, and none of it is bad
              counted to    2026-01-05T12:00:00Z
        "#]],
    );
    let override_ = "override --service checkout --reason CHK-77 --expires 2h --actor ann --input out";
    files.check(&format!("{override_} --now 2026-01-05T12:00:00Z"), expect![[r#"
        0
        override 0b710d133f14a2b4 of checkout until 2026-01-05T14:00:00Z
          by ann: CHK-77
        written to out/commands.jsonl:
          {"id":"0b710d133f14a2b4","kind":"override","actor":"ann","object":{"service":"checkout"},"reason":"CHK-77","at":"2026-01-05T12:00:00Z","expires":"2026-01-05T14:00:00Z"}
    "#]]);
    files.check(
        "gate --service checkout --input out --now 2026-01-05T12:10:00Z",
        expect![[r#"
            0
            go: a budget of checkout was spent and has not recovered, but an override holds
              override 0b710d133f14a2b4 by ann: CHK-77
              decided at 2026-01-05T12:00:00Z, until 2026-01-05T14:00:00Z

            available  90% of ok over 1h
              answer        frozen
              budget left   0.0%: 360 bad, and 360 may be
              frozen        since 2026-01-05T11:39:10Z by budget-exhausted, alert 3b881a4a
              may thaw      2026-01-05T12:01:10Z, when 5% are left again: if as much comes as came, and none of it is bad
              counted to    2026-01-05T12:00:00Z
        "#]],
    );
    files.check("gate --service checkout --input out --now 2026-01-05T12:10:00Z --json", expect![[r#"
        0
        {"answer":"go","exit_code":0,"service":"checkout","rollback":false,"override":{"id":"0b710d133f14a2b4","service":"checkout","actor":"ann","reason":"CHK-77","at":"2026-01-05T12:00:00Z","expires":"2026-01-05T14:00:00Z","state":"active"},"slos":[{"slo":"available","answer":"frozen","promise":{"target":"90%","indicator":"ok","window":"1h"},"budget":{"remaining":0.0,"tally":{"bad":360,"total":3600}},"freeze":{"rule":"budget-exhausted","alert":"3b881a4a","since":"2026-01-05T11:39:10Z","clears_at":{"numerator":5,"denominator":100},"may_thaw_at":"2026-01-05T12:01:10Z","is_calendar":false},"counted_to":"2026-01-05T12:00:00Z"}]}
    "#]]);
    files.check(
        "override --list --input out --now 2026-01-05T12:10:00Z",
        expect![[r#"
        0
          override          service   state   written               expires               by   reason
          0b710d133f14a2b4  checkout  active  2026-01-05T12:00:00Z  2026-01-05T14:00:00Z  ann  CHK-77
    "#]],
    );
    files.check("override --list --input out --now 2026-01-05T15:00:00Z --json", expect![[r#"
        0
        {"id":"0b710d133f14a2b4","service":"checkout","actor":"ann","reason":"CHK-77","at":"2026-01-05T12:00:00Z","expires":"2026-01-05T14:00:00Z","state":"expired"}
    "#]]);
}

#[test]
fn go_and_unknown_in_words() {
    let files = counted(&[(60, 60, 1)], &of_an_hour(&[("available", "ok", "0.9"), ("teapots", "rare", "0.9")]));
    files.check(
        "gate --service checkout --input out --slo available",
        expect![[r#"
        0
        go: checkout may be deployed

        available  90% of ok over 1h
          answer        go
          budget left   83.3%: 60 bad, and 360 may be
          counted to    2026-01-05T11:00:00Z
    "#]],
    );
    files.check(
        "gate --service checkout --input out",
        expect![[r#"
            11
            unknown: nobody can tell how checkout is

            available  90% of ok over 1h
              answer        go
              budget left   83.3%: 60 bad, and 360 may be
              counted to    2026-01-05T11:00:00Z

            teapots  90% of rare over 1h
              answer        unknown
              because       nothing was counted of rare
              counted to    2026-01-05T11:00:00Z
        "#]],
    );
    files.check(
        "gate --service search --input out",
        expect![[r#"
        11
        unknown: no SLO is about "search"; services with one: checkout
    "#]],
    );
}

#[test]
fn a_calendar_window_thaws_with_the_next_one() {
    let of_a_day = of_an_hour(&PROMISE).replace(
        "{duration: 1h, isRolling: true}",
        "{duration: 1d, isRolling: false, calendar: {startTime: 2026-01-01 00:00:00, timeZone: Europe/Berlin}}",
    );
    let without_alarms = of_a_day.replace("objectives:", "alertPolicies: []\n  objectives:");
    counted(&[(180, 60, 54)], &without_alarms).check(
        "gate --service checkout --input out",
        expect![[r#"
        10
        frozen: a budget of checkout was spent and has not recovered

        available  90% of ok over 1 day from 2026-01-01 in Europe/Berlin
          answer        frozen
          budget left   -12.5%: 9,720 bad, and 8,640 may be
          frozen        no alarm watches for a spent budget, so it is frozen while nothing is left
          may thaw      2026-01-05T23:00:00Z with the next period, or when something is left again
          counted to    2026-01-05T13:00:00Z

        to deploy all the same: streamgauge override --service checkout --reason WHY --expires 2h
    "#]],
    );
}

#[test]
fn tenants_have_gates_of_their_own() {
    let events = |tenant: &str, parts: &[(usize, i64, i64)]| {
        traffic(parts).replace("\"service\"", &format!("\"tenant\":\"{tenant}\",\"service\""))
    };
    let both = events("acme", &trouble(0)) + &events("calm", &[(100, 60, 0)]);
    let mut lines: Vec<&str> = both.lines().collect();
    lines.sort_unstable();
    let files = Files::new(&[("slos.yaml", &of_an_hour(&PROMISE)), ("events.jsonl", &(lines.join("\n") + "\n"))]);
    let backfill = "backfill --quiet --event request --input events.jsonl --definitions slos.yaml --out out";
    assert_eq!(files.run(backfill, ""), "0\n");
    let now = "--now 2026-01-05T12:00:00Z";
    check(&files, CHECKOUT, "2 -");
    check(&files, &format!("{CHECKOUT} --tenant calm"), "0 go");
    check(&files, &format!("{CHECKOUT} --tenant acme"), "10 frozen");
    check(&files, &format!("{CHECKOUT} --tenant nobody"), "11 unknown");
    decide(&files, &format!("--service checkout --expires 1h --tenant calm {now}"), 0);
    check(&files, &format!("{CHECKOUT} --tenant acme {now}"), "10 frozen");
    decide(&files, &format!("--service checkout --expires 1h --tenant acme {now}"), 0);
    check(&files, &format!("{CHECKOUT} --tenant acme {now}"), "0 go");
}
