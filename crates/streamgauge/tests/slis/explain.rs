//! `streamgauge explain`: the arithmetic of an alert.

use expect_test::expect;

use crate::program::Files;
use crate::slos::{counted, slos, traffic};

/// An hour of calm, ten minutes of trouble, five of calm.
const TROUBLE: [(usize, i64, i64); 3] = [(60, 60, 0), (10, 60, 12), (5, 60, 0)];

#[test]
fn every_number_of_an_alert() {
    let files = counted(&TROUBLE, &[("available", "ok", "0.999")]);
    files.check("explain 2c9fff7b --input out", expect![[r#"
        0
        2c9fff7b  burn-1h-5m of available (checkout), critical
        fired at 2026-01-05T11:05:10Z, resolved at 2026-01-05T11:14:10Z after 9m

        promise  99.9% over 30d, counted by events: 1 - 0.999 = 0.001 of them may be bad
        rule     burn rate above 14.4 over 1h and over 5m, at least 3 bad ones, and no chance of 1 in 100

        when it fired
          long   1h, from 2026-01-05T10:05:10Z: 70/3,600 bad
                 burn = (70/3,600) / 0.001 = 19.4: above 14.4
                 70 x 1000 x 100 = 7000000 > 1440 x 1 x 3600 = 5184000
          short  5m, from 2026-01-05T11:00:10Z: 60/300 bad
                 burn = (60/300) / 0.001 = 200: above 14.4
                 60 x 1000 x 100 = 6000000 > 1440 x 1 x 300 = 432000
          chance P(at least 70 of 3,600 are bad | each with 14.4 x 0.001) = 8.88e-3 < 0.01
          budget 1 - 70 / (0.001 x 2,592,000) = 97.2% left, 2,588,090 of them still to come at this rate; the long window spent 2.7% of it
          bad events, by trace id: m60r0 m60r3 m60r5

        when it resolved
          long   1h, from 2026-01-05T10:14:10Z: 120/3,600 bad
                 burn = (120/3,600) / 0.001 = 33.3: above 14.4
                 120 x 1000 x 100 = 12000000 > 1440 x 1 x 3600 = 5184000
          short  5m, from 2026-01-05T11:09:10Z: 2/300 bad
                 burn = (2/300) / 0.001 = 6.67: not above 14.4
                 2 x 1000 x 100 = 200000 <= 1440 x 1 x 300 = 432000
          chance P(at least 120 of 3,600 are bad | each with 14.4 x 0.001) = 2.38e-16 < 0.01
          budget 1 - 120 / (0.001 x 2,592,000) = 95.3% left, 2,587,550 of them still to come at this rate; the long window spent 4.6% of it
    "#]]);
    files.check("explain b2cec33d --input out", expect![[r#"
        0
        b2cec33d  burn-6h-30m of available (checkout), critical
        fired at 2026-01-05T11:02:20Z, still firing at 2026-01-05T11:15:00Z, where the facts end

        promise  99.9% over 30d, counted by events: 1 - 0.999 = 0.001 of them may be bad
        rule     burn rate above 6 over 6h and over 30m, at least 3 bad ones, and no chance of 1 in 100

        when it fired
          long   6h, from 2026-01-05T05:02:00Z: 36/3,740 bad
                 burn = (36/3,740) / 0.001 = 9.63: above 6
                 36 x 1000 x 100 = 3600000 > 600 x 1 x 3740 = 2244000
          short  30m, from 2026-01-05T10:32:20Z: 36/1,800 bad
                 burn = (36/1,800) / 0.001 = 20.0: above 6
                 36 x 1000 x 100 = 3600000 > 600 x 1 x 1800 = 1080000
          chance P(at least 36 of 3,740 are bad | each with 6 x 0.001) = 4.94e-3 < 0.01
          budget 1 - 36 / (0.001 x 2,592,000) = 98.6% left, 2,588,260 of them still to come at this rate; the long window spent 1.4% of it
          bad events, by trace id: m60r0 m60r3 m60r5
    "#]]);
    files.check("explain 2c9fff7b --input out --json", expect![[r#"
        0
        {"id":"2c9fff7b","unit_text":"events","window":"30d","condition":{"burn":{"long_us":3600000000,"short_us":300000000,"factor":{"numerator":1440,"denominator":100},"severity":"critical"}},"fired":{"record":{"id":"bc0b8461d8d48ca1","alert":"2c9fff7b","fingerprint":"50bd10fa00dfa071","service":"checkout","slo":"available","rule":"burn-1h-5m","severity":"critical","transition":"fired","at":"2026-01-05T11:05:10Z","starts_at":"2026-01-05T11:05:10Z","target":"99.9%","window":"30d","long":{"bad":70,"total":3600,"burn":19.444444444444443},"short":{"bad":60,"total":300,"burn":200.0},"counted":{"bad":70,"total":3910},"remaining":0.9729938271604939,"forecast":{"exhausted_in":177378.2751798561},"exemplars":["m65r8","m65r7","m65r1"],"definition":"892ce9f26b69e528"},"windows":[{"length_us":3600000000,"from":"2026-01-05T10:05:10Z","bad":70,"total":3600,"burn":19.444444444444443,"left":7000000,"right":5184000},{"length_us":300000000,"from":"2026-01-05T11:00:10Z","bad":60,"total":300,"burn":200.0,"left":6000000,"right":432000}],"chance":0.008880796740061215,"budget":{"bad":70,"of":2592000,"counted":3910,"remaining":0.9729938271604939,"long_share":0.02700617283950617}},"resolved":{"record":{"id":"8773abec89499ef1","alert":"2c9fff7b","fingerprint":"50bd10fa00dfa071","service":"checkout","slo":"available","rule":"burn-1h-5m","severity":"critical","transition":"resolved","at":"2026-01-05T11:14:10Z","starts_at":"2026-01-05T11:05:10Z","target":"99.9%","window":"30d","long":{"bad":120,"total":3600,"burn":33.333333333333336},"short":{"bad":2,"total":300,"burn":6.666666666666667},"counted":{"bad":120,"total":4450},"remaining":0.9537037037037037,"forecast":{"exhausted_in":104206.27367424243},"exemplars":["m69r11","m69r10","m69r8"],"definition":"892ce9f26b69e528"},"windows":[{"length_us":3600000000,"from":"2026-01-05T10:14:10Z","bad":120,"total":3600,"burn":33.333333333333336,"left":12000000,"right":5184000},{"length_us":300000000,"from":"2026-01-05T11:09:10Z","bad":2,"total":300,"burn":6.666666666666667,"left":200000,"right":432000}],"chance":2.380296946094873e-16,"budget":{"bad":120,"of":2592000,"counted":4450,"remaining":0.9537037037037037,"long_share":0.046296296296296294}},"end":"2026-01-05T11:15:00Z","exemplars":["m60r0","m60r3","m60r5"]}
    "#]]);
    files.check("explain 00000000 --input out", expect![[r#"
        2
        ---
        streamgauge: no alert has the id "00000000"; 4 fired by these definitions: `streamgauge backtest` lists them, each with its id. Alerts of other definitions are found with --definitions
    "#]]);
    files.check("explain 2c9fff7b --input nothing", expect![[r#"
        2
        ---
        streamgauge: couldn't open nothing/sli.state.jsonl; --input takes a directory that `streamgauge backfill --out` wrote, --brokers reads Kafka: No such file or directory (os error 2)
    "#]]);
}

/// The ids of the alerts of a rule.
fn ids(files: &Files, arguments: &str, rule: &str) -> Vec<String> {
    let text = files.run(&format!("backtest {arguments}"), "");
    let found = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    found.filter(|words| words.get(1) == Some(&rule)).map(|words| words[0].to_owned()).collect()
}

#[test]
fn a_spent_budget() {
    // A year of traffic would not forgive this.
    let files = counted(&[(5, 60, 0), (60, 60, 59), (5, 60, 0)], &[("available", "ok", "0.999")]);
    let explained =
        |rule: &str| files.run(&format!("explain {} --input out", ids(&files, "--input out", rule).remove(0)), "");
    expect![[r#"
        0
        c0a2c5af  budget-low of available (checkout), major
        fired at 2026-01-05T10:44:40Z, still firing at 2026-01-05T11:10:00Z, where the facts end

        promise  99.9% over 30d, counted by events: 1 - 0.999 = 0.001 of them may be bad
        rule     less than 10% of the budget is left; clears when 15% is left

        when it fired
          budget 1 - 2,341 / (0.001 x 2,592,000) = 9.6% left, 2,589,320 of them still to come at this rate
          bad events, by trace id: m5r9 m5r8 m5r6
    "#]]
    .assert_eq(&explained("budget-low"));
    expect![[r#"
        0
        383d1bf6  budget-exhausted of available (checkout), critical
        fired at 2026-01-05T10:49:00Z, still firing at 2026-01-05T11:10:00Z, where the facts end

        promise  99.9% over 30d, counted by events: 1 - 0.999 = 0.001 of them may be bad
        rule     nothing is left of the budget; clears when 5% is left

        when it fired
          budget 1 - 2,596 / (0.001 x 2,592,000) = -0.2% left, 2,589,060 of them still to come at this rate
          bad events, by trace id: m5r9 m5r8 m5r6
    "#]]
    .assert_eq(&explained("budget-exhausted"));
}

/// A minute of bad events that comes an hour late.
#[test]
fn late_records_change_no_alert_and_are_told() {
    let events = traffic(&TROUBLE);
    let (late, others): (Vec<&str>, Vec<&str>) =
        events.lines().partition(|line| line.contains("m61r") && line.contains("503"));
    let text: String = others.iter().chain(&late).map(|line| format!("{line}\n")).collect();
    let files = Files::new(&[("slos.yaml", &slos(&[("available", "ok", "0.999")])), ("events.jsonl", &text)]);
    let backfill = "backfill --quiet --event request --input events.jsonl --definitions slos.yaml --out out";
    assert_eq!(files.run(backfill, ""), "0\n");
    let id = ids(&files, "--input out", "burn-1h-5m").remove(0);
    files.check(&format!("explain {id} --input out"), expect![[r#"
        0
        e3189d55  burn-1h-5m of available (checkout), critical
        fired at 2026-01-05T11:06:10Z, resolved at 2026-01-05T11:14:10Z after 8m

        promise  99.9% over 30d, counted by events: 1 - 0.999 = 0.001 of them may be bad
        rule     burn rate above 14.4 over 1h and over 5m, at least 3 bad ones, and no chance of 1 in 100

        when it fired
          long   1h, from 2026-01-05T10:06:10Z: 70/3,588 bad
                 burn = (70/3,588) / 0.001 = 19.5: above 14.4
                 70 x 1000 x 100 = 7000000 > 1440 x 1 x 3588 = 5166720
                 late records have come since: now it holds 82/3,600 bad
          short  5m, from 2026-01-05T11:01:10Z: 58/298 bad
                 burn = (58/298) / 0.001 = 195: above 14.4
                 58 x 1000 x 100 = 5800000 > 1440 x 1 x 298 = 429120
                 late records have come since: now it holds 60/300 bad
          chance P(at least 70 of 3,588 are bad | each with 14.4 x 0.001) = 8.29e-3 < 0.01
          budget 1 - 82 / (0.001 x 2,592,000) = 96.8% left, 2,588,030 of them still to come at this rate; the long window spent 2.7% of it; before late records it was 97.2%
          bad events, by trace id: m60r0 m60r3 m60r5

        when it resolved
          long   1h, from 2026-01-05T10:14:10Z: 108/3,588 bad
                 burn = (108/3,588) / 0.001 = 30.1: above 14.4
                 108 x 1000 x 100 = 10800000 > 1440 x 1 x 3588 = 5166720
                 late records have come since: now it holds 120/3,600 bad
          short  5m, from 2026-01-05T11:09:10Z: 2/300 bad
                 burn = (2/300) / 0.001 = 6.67: not above 14.4
                 2 x 1000 x 100 = 200000 <= 1440 x 1 x 300 = 432000
          chance P(at least 108 of 3,588 are bad | each with 14.4 x 0.001) = 3.52e-12 < 0.01
          budget 1 - 120 / (0.001 x 2,592,000) = 95.3% left, 2,587,550 of them still to come at this rate; the long window spent 4.2% of it; before late records it was 95.8%
    "#]]);
}

#[test]
fn slices_and_shares_of_slices() {
    // Ten minutes in which less than a third is bad, and five in which all is: shares of slices make whole ones only then.
    let files = counted(&[(60, 60, 0), (10, 60, 12), (5, 60, 60)], &[]);
    let explained = |method: &str, objective: &str| {
        let text = slos(&[("available", "ok", "0.999")]).replace("Occurrences", method);
        let text = text.replace("{target: 0.999}", &format!("{{target: 0.999, {objective}}}"));
        std::fs::write(files.path("sliced.yaml"), text).expect("a temporary file");
        let id = ids(&files, "sliced.yaml --input out", "burn-6h-30m").remove(0);
        files.run(&format!("explain {id} --input out --definitions sliced.yaml"), "")
    };
    expect![[r#"
        0
        33cc29a3  burn-6h-30m of available (checkout), critical
        fired at 2026-01-05T11:03:00Z, still firing at 2026-01-05T11:15:00Z, where the facts end

        promise  99.9% over 30d, counted by slices of 1m: 1 - 0.999 = 0.001 of them may be bad
        rule     burn rate above 6 over 6h and over 30m, at least 3 bad ones, and no chance of 1 in 100

        when it fired
          long   6h, from 2026-01-05T05:03:00Z: 3/63 bad
                 burn = (3/63) / 0.001 = 47.6: above 6
                 3 x 1000 x 100 = 300000 > 600 x 1 x 63 = 37800
          short  30m, from 2026-01-05T10:33:00Z: 3/30 bad
                 burn = (3/30) / 0.001 = 100: above 6
                 3 x 1000 x 100 = 300000 > 600 x 1 x 30 = 18000
          chance P(at least 3 of 63 are bad | each with 6 x 0.001) = 6.56e-3 < 0.01
          budget 1 - 3 / (0.001 x 43,200) = 93.0% left, 43,137 of them still to come at this rate; the long window spent 6.9% of it
          bad events, by trace id: m60r0 m60r3 m60r5
    "#]].assert_eq(&explained("Timeslices", "timeSliceTarget: 0.9, timeSliceWindow: 1m"));
    expect![[r#"
        0
        eb5945e4  burn-6h-30m of available (checkout), critical
        fired at 2026-01-05T11:11:00Z, still firing at 2026-01-05T11:15:00Z, where the facts end

        promise  99.9% over 30d, counted by slices of 1m, each by its share of bad events: 1 - 0.999 = 0.001 of them may be bad
        rule     burn rate above 6 over 6h and over 30m, at least 3 bad ones, and no chance of 1 in 100

        when it fired
          long   6h, from 2026-01-05T05:11:00Z: 3.000/71.000 bad
                 burn = (3.000/71.000) / 0.001 = 42.3: above 6
          short  30m, from 2026-01-05T10:41:00Z: 3.000/30.000 bad
                 burn = (3.000/30.000) / 0.001 = 100: above 6
          chance P(at least 3 of 71 are bad | each with 6 x 0.001) = 9.11e-3 < 0.01
          budget 1 - 3.000 / (0.001 x 43,200.000) = 93.0% left, 43,129.000 of them still to come at this rate; the long window spent 6.9% of it
          bad events, by trace id: m60r0 m60r3 m60r5
    "#]].assert_eq(&explained("RatioTimeslices", "timeSliceWindow: 1m"));
}
