//! Scenario files: every one that ships is read, and every mistake is refused with where, what, and what would do.

use expect_test::expect;
use streamgauge_synthetic::{Generator, Scenario, ScenarioError};

const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/scenarios");

#[test]
fn every_example_is_a_scenario_named_after_its_file() {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(EXAMPLES).expect("the examples are part of the repository") {
        let path = entry.expect("a directory can be listed").path();
        let yaml = std::fs::read_to_string(&path).expect("an example can be read");
        let scenario = Scenario::from_yaml(&yaml).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(path.file_name().and_then(|name| name.to_str()), Some(&*format!("{}.yaml", scenario.name())));
        assert_eq!(Generator::new(&scenario, 1).take(1_000).count(), 1_000, "{}", scenario.name());
        names.push(scenario.name().to_owned());
    }
    names.sort();
    expect!["bad-input, black-friday, ramp, shop-day, steady"].assert_eq(&names.join(", "));
    assert!(Scenario::BUILT_IN.iter().all(|name| names.iter().any(|known| known == name)));
}

/// The page's own scenarios are valid, and it explains every field that they use.
#[test]
fn the_page_shows_scenarios_that_work() {
    let page = include_str!("../../../docs/scenarios.md");
    let mut blocks = page.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap_or_default());
    let (smallest, everything) = (blocks.next().unwrap_or_default(), blocks.next().unwrap_or_default());
    assert_eq!(smallest.trim(), SMALL.trim());
    let scenario = Scenario::from_yaml(everything).expect("the page's scenario is valid");
    assert_eq!(Generator::new(&scenario, 1).take(100).count(), 100);
    let (_, explained) = page.split_once("## The whole").expect("the page has its tables");
    let words = everything.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'));
    for key in words.filter_map(|word| word.strip_suffix(':')).filter(|key| !["name", "share"].contains(key)) {
        let named = [format!("`{key}`"), format!("broken.{key}`"), format!("disorder.{key}`")];
        assert!(
            ["disorder", "broken", "services", "faults", "delay_secs_min"].contains(&key)
                || named.iter().any(|name| explained.contains(name)),
            "{key} is not explained"
        );
    }
}

#[test]
fn the_shop_day_is_what_its_page_says() {
    let scenario = Scenario::built_in("shop-day").expect("it is valid");
    assert_eq!(
        (scenario.start_us(), scenario.duration_secs(), scenario.partitions()),
        (1_767_571_200_000_000, 86_400, 4)
    );
    assert!((1_000_000.0..1_500_000.0).contains(&scenario.events_expected()));
    let planted: String =
        scenario.planted(0).iter().map(|p| format!("{} {} to {}\n", p.kind, p.start_us, p.end_us)).collect();
    expect![[r#"
        bad_deployment 37800000000 to 40200000000
        slow_dependency 51300000000 to 55800000000
        outage 72300000000 to 73800000000
    "#]]
    .assert_eq(&planted);
}

/// The smallest scenario, in which each row changes one text.
const SMALL: &str = "
name: small
start: 2026-01-05T00:00:00Z
duration_secs: 60
partitions: 2
rate: { constant: { events_per_sec: 10 } }
services:
  - service: api
    versions: [{ version: 1.0.0 }]
    latency: { p50_us: 1000, p95_us: 5000 }
    routes: [{ route: /, method: GET }]
";

#[test]
fn mistakes_are_refused_with_path_value_and_remedy() {
    Scenario::from_yaml(SMALL).expect("the small scenario is valid");
    let mut report = String::new();
    for (from, to) in [
        ("partitions: 2", "partitions: 0"),
        ("events_per_sec: 10", "events_per_sec: -1"),
        ("duration_secs: 60", "duration_secs: 0"),
        ("p95_us: 5000", "p95_us: 500"),
        ("    latency", "    error_share: 5\n    latency"),
        ("    latency", "    weight: 0\n    latency"),
        (
            "services:",
            "disorder: { delayed: { share: 0.7, delay_secs_max: 3 } }\nbroken: { not_json_share: 0.4 }\nservices:",
        ),
        ("services:", "broken: { garbage_partitions: [2] }\nservices:"),
        ("services:", "faults: [{ outage: { service: apo, start_secs: 1, duration_secs: 1 } }]\nservices:"),
        ("services:", "faults: [{ outage: { start_secs: 1, duration_secs: 0 } }]\nservices:"),
        (
            "services:",
            "faults: [{ error_burst: { service: api, route: /x, start_secs: 1, duration_secs: 1, error_share: 1 } }]\nservices:",
        ),
        ("[{ route: /, method: GET }]", "[{ route: /, method: GET }, { route: /, method: GET }]"),
        ("[{ route: /, method: GET }]", "[]"),
        ("method: GET", "method: GET, copies: 1000000000"),
        ("services:", "keys: { distinct: 0 }\nservices:"),
    ] {
        let yaml = SMALL.replacen(from, to, 1);
        assert_ne!(yaml, SMALL, "{from} must occur");
        match Scenario::from_yaml(&yaml) {
            Err(error @ ScenarioError::Invalid { .. }) => report += &format!("{error}\n"),
            other => panic!("{to}: {other:?}"),
        }
    }
    expect![[r#"
        partitions is 0, but must be from 1 to 10000
        rate.constant.events_per_sec is -1, but must be from 0.001 to 4000000
        duration_secs is 0, but must be from 1 to 31622400
        services[0].latency.p95_us is 500, but must be from p50_us (1000) to 3600000000
        services[0].error_share is 5, but a share must be from 0 to 1 (0.05 is 5%)
        services[0].weight is 0, but must be from 0.000001 to 1000000000
        disorder and broken is 1.1 in all, but their shares are of all records; at most 1 in all
        broken.garbage_partitions[] is 2, but must be from 0 to 1
        faults[0].outage.service is "apo", but no service has that name
        faults[0].outage.duration_secs is 0, but must be from 1 to 31622400
        faults[0].error_burst.route is "/x", but the service has no such route
        services[0].routes[] is "GET /", but stands twice; give each one name
        services[0].routes[] is empty, but needs at least one entry
        services[0].routes[0].copies is 1000000000, but must be from 1 to 1000000
        keys.distinct is 0, but must be from 1 to 10000000
    "#]]
    .assert_eq(&report);
}

/// What the YAML reader itself refuses: unknown keys, wrong types, missing keys.
#[test]
fn unreadable_scenarios_say_where() {
    for (from, to, expected) in [
        ("name: small", "name: small\ncolour: red", "colour"),
        ("events_per_sec: 10", "events_per_minute: 10", "events_per_minute"),
        ("constant", "steady", "steady"),
        ("partitions: 2", "partitions: two", "line 5"),
        ("partitions: 2\n", "", "partitions"),
        ("2026-01-05T00:00:00Z", "yesterday", "write 2026-01-05T00:00:00Z"),
    ] {
        match Scenario::from_yaml(&SMALL.replacen(from, to, 1)) {
            Err(error @ ScenarioError::Yaml { .. }) => assert!(error.to_string().contains(expected), "{error}"),
            other => panic!("{to}: {other:?}"),
        }
    }
    let error = Scenario::built_in("shop-night").expect_err("there is no such scenario");
    assert_eq!(error.to_string(), "no scenario is called \"shop-night\"; built in are shop-day, steady");
}
