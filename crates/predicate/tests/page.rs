//! What the page on predicates shows is so: its examples, its errors, its fields.

use std::path::Path;

use streamgauge_events::{Event, Field, Kind};
use streamgauge_predicate::Predicate;

fn page() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/predicates.md");
    std::fs::read_to_string(path).expect("the page is part of the repository")
}

/// Rows of the tables under a heading, without their headers; code spans without their backticks.
fn rows(heading: &str) -> Vec<Vec<String>> {
    let page = page();
    let section = page.split("\n## ").find(|section| section.starts_with(heading)).expect("the heading is there");
    let cells = |line: &str| -> Vec<String> {
        let inner = line.trim_matches('|').split(" | ");
        inner.map(|cell| cell.trim().trim_matches('`').to_owned()).collect()
    };
    let is_row = |line: &&str| line.starts_with("| ") && !line.starts_with("| kind |");
    section.lines().filter(is_row).map(cells).collect()
}

fn kind(name: &str) -> Kind {
    Kind::ALL.into_iter().find(|kind| kind.as_str() == name).unwrap_or_else(|| panic!("{name} is no kind"))
}

#[test]
fn examples_come_to_what_the_page_says() {
    let rows = rows("Examples");
    assert!(rows.len() >= 20, "{}", rows.len());
    for row in rows {
        let [of, text, json, verdict] = &row[..] else { panic!("{row:?}") };
        let json = json.replacen('{', r#"{"ts": 1, "service": "checkout", "#, 1).replace(", }", "}");
        let event = Event::from_json(kind(of), json.as_bytes()).unwrap_or_else(|error| panic!("{json}: {error:?}"));
        let predicate = Predicate::compile(text, kind(of)).unwrap_or_else(|errors| panic!("{text}: {errors:?}"));
        let found = match predicate.holds(&event) {
            Some(true) => "true",
            Some(false) => "false",
            None => "undecided",
        };
        assert_eq!(found, verdict, "{text} on {json}");
    }
}

#[test]
fn errors_are_those_that_the_page_shows() {
    let rows = rows("What is refused");
    assert!(rows.len() >= 8, "{}", rows.len());
    for row in rows {
        let [of, text, error] = &row[..] else { panic!("{row:?}") };
        let errors = Predicate::compile(text, kind(of)).expect_err(text);
        assert_eq!(errors[0].to_string(), *error, "{text}");
    }
}

#[test]
fn fields_are_those_of_the_kinds() {
    let rows = rows("Fields");
    assert_eq!(rows.len(), Kind::ALL.len());
    for row in rows {
        let mut named: Vec<String> = Vec::new();
        for cell in &row[1..] {
            named.extend(
                cell.split(", ")
                    .map(|name| name.trim_matches(['`', ' ', '|']))
                    .filter(|name| !name.is_empty())
                    .map(str::to_owned),
            );
        }
        let fields = kind(&row[0]).fields().iter().filter(|field| !matches!(field, Field::Ts | Field::Attributes));
        let mut known: Vec<&str> = fields.map(|field| field.name()).collect();
        named.sort();
        known.sort_unstable();
        assert_eq!(named, known, "{}", row[0]);
    }
}

#[test]
fn the_first_examples_are_predicates() {
    let page = page();
    let fenced = page.split("```").nth(1).expect("a block of examples");
    let lines: Vec<&str> = fenced.lines().filter(|line| !line.is_empty()).collect();
    assert!(lines.len() >= 3);
    for line in lines {
        assert!(Kind::ALL.iter().any(|kind| Predicate::compile(line, *kind).is_ok()), "{line}");
    }
}
