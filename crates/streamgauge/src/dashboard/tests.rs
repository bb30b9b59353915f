//! The dashboard of the shop, as it was once; names that are exported; form.

use std::collections::BTreeSet;
use std::path::PathBuf;

use expect_test::expect_file;
use prometheus_client::metrics::MetricType;
use serde_json::Value;
use streamgauge_definitions::Definitions;

use super::grafana::dashboard;
use crate::definitions;
use crate::slo::figures;

fn shipped(files: &[&str]) -> Definitions {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docker/definitions");
    let paths: Vec<PathBuf> = files.iter().map(|file| root.join(file)).collect();
    definitions::read(&paths).expect("what is shipped is valid")
}

fn parsed(definitions: &Definitions) -> Value {
    serde_json::from_str(&dashboard(definitions, None)).expect("JSON")
}

fn panels(dashboard: &Value) -> &Vec<Value> {
    dashboard["panels"].as_array().expect("panels")
}

fn queries(dashboard: &Value) -> Vec<String> {
    let targets = panels(dashboard).iter().filter_map(|panel| panel["targets"].as_array()).flatten();
    targets.map(|target| target["expr"].as_str().unwrap_or_default().to_owned()).collect()
}

/// Runs of characters of which names of metrics and labels are made.
fn words(query: &str) -> impl Iterator<Item = &str> {
    query.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
}

#[test]
fn the_dashboard_of_the_inference_service() {
    let definitions = shipped(&["inference.yaml"]);
    let found = dashboard(&definitions, Some("Prometheus"));
    assert_eq!(found, dashboard(&definitions, Some("Prometheus")));
    expect_file!["grafana.json"].assert_eq(&(found + "\n"));
}

#[test]
fn it_asks_for_what_is_exported() {
    let ending = |kind| if matches!(kind, MetricType::Counter) { "_total" } else { "" };
    let exported: BTreeSet<String> = figures::families(std::iter::empty())
        .into_iter()
        .map(|(name, _, kind, _)| format!("streamgauge_{name}{}", ending(kind)))
        .collect();
    let queries = queries(&parsed(&shipped(&[""])));
    let asked: BTreeSet<String> = queries
        .iter()
        .flat_map(|query| words(query))
        .filter(|word| word.starts_with("streamgauge_"))
        .map(str::to_owned)
        .collect();
    assert_eq!(asked, exported, "asked for (left), exported (right)");
    let source = include_str!("../slo/figures.rs");
    for label in ["service", "slo", "tenant", "outcome", "rule", "window", "severity", "topic"] {
        assert!(source.contains(&format!("\"{label}\"")), "no metric has the label {label}");
        assert!(queries.iter().any(|query| words(query).any(|word| word == label)), "{label} is not asked for");
    }
}

#[test]
fn ids_differ_and_nothing_overlaps() {
    let dashboard = parsed(&shipped(&[""]));
    let panels = panels(&dashboard);
    let mut taken = BTreeSet::new();
    for (index, panel) in panels.iter().enumerate() {
        assert_eq!(panel["id"], index + 1);
        let at = |name: &str| panel["gridPos"][name].as_u64().expect("a place");
        assert!(at("x") + at("w") <= 24, "{panel}");
        for cell in (at("x")..at("x") + at("w")).flat_map(|x| (at("y")..at("y") + at("h")).map(move |y| (x, y))) {
            assert!(taken.insert(cell), "{} lies over another", panel["title"]);
        }
        let targets = panel["targets"].as_array().map_or(&[][..], Vec::as_slice);
        let ids: BTreeSet<&str> = targets.iter().filter_map(|target| target["refId"].as_str()).collect();
        assert_eq!(ids.len(), targets.len(), "{}", panel["title"]);
    }
    let rows = panels.iter().filter(|panel| panel["type"] == "row").count();
    let services: BTreeSet<&str> = parsed_services(&dashboard);
    assert_eq!(rows, services.len() + 1, "a row a service, and one for all");
}

fn parsed_services(dashboard: &Value) -> BTreeSet<&str> {
    let targets = panels(dashboard).iter().filter_map(|panel| panel["targets"].as_array()).flatten();
    targets.filter_map(|target| target["expr"].as_str()?.split("service=\"").nth(1)?.split('"').next()).collect()
}

#[test]
fn odd_names_stay_inside_their_quotes() {
    let mut definitions = shipped(&["inference.yaml"]);
    let (_, slo) = definitions.slos.pop_first().expect("there are two");
    definitions.slos = [("a\"}\\\nb".to_owned(), slo)].into();
    let asked = queries(&parsed(&definitions));
    assert!(asked.iter().any(|query| query.contains(r#"slo="a\"}\\\nb""#)), "{asked:?}");
}
