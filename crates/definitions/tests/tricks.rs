//! Texts that YAML reads in another way than people do: taken as they are written, or refused.

use streamgauge_definitions::{Definitions, Measure};

const HEAD: &str = "apiVersion: openslo/v1\nkind: Service\nmetadata: {name: a}\nspec: {}\n---\n";

fn sli(spec: &str) -> String {
    let source = format!("{{metricSource: {{type: streamgauge, spec: {{topic: requests, service: a, {spec}}}}}}}");
    format!(
        "{HEAD}apiVersion: openslo/v1\nkind: SLI\nmetadata: {{name: s}}\nspec:\n  ratioMetric: {{counter: true, rawType: success, raw: {source}}}\n"
    )
}

fn read(text: &str) -> Result<Definitions, String> {
    let shown = |mistakes: Vec<_>| mistakes.iter().map(|mistake| format!("{mistake}\n")).collect();
    Definitions::of_text("test.yaml", text).map_err(shown)
}

#[test]
fn marks_and_ends_of_lines_change_nothing() {
    let plain = sli("good: ok");
    let expected = read(&plain).expect("valid");
    for text in [
        format!("\u{feff}{plain}"),
        plain.replace('\n', "\r\n"),
        plain.replace('\n', "\r"),
        format!("%YAML 1.1\n---\n{plain}"),
        format!("{plain}...\n...\n---\n...\n"),
        sli("? good : ok"),
        sli("good: ok, filter: "),
        plain.replace("counter: true", "counter: 'true'"),
    ] {
        assert_eq!(read(&text).as_ref(), Ok(&expected), "{text:?}");
    }
    for text in ["", "# nothing\n", "\u{feff}", "---\n...\n", "---\n---\n"] {
        assert_eq!(read(text), Ok(Definitions::default()), "{text:?}");
    }
}

#[test]
fn numbers_and_words_of_other_schemas_are_refused() {
    for number in ["1_000", "0x10", "0o10", "+10", "1e3", "10.0", "-10", "١٢", ".inf", "~", "''", "0"] {
        let found = read(&sli(&format!("latencyThresholdUs: {number}")));
        assert!(found.is_err(), "{number}: {found:?}");
    }
    for counter in ["yes", "on", "TRUE", "True", "1", "y"] {
        let found = read(&sli("good: ok").replace("counter: true", &format!("counter: {counter}")));
        assert!(found.is_err_and(|found| found.contains("counter")), "{counter}");
    }
    let octal = read(&sli("latencyThresholdUs: 010")).expect("digits are decimal");
    assert!(matches!(octal.slis["s"].good, Measure::Latency { threshold_us: 10, .. }));
}

#[test]
fn keys_that_are_merged_twice_or_no_texts_are_refused() {
    for (text, expected) in [
        (sli("good: ok, 'good': ok"), "the key `good` again"),
        (sli("good: ok, good: ~"), "the key `good` again"),
        (sli("good: ok, <<: {filter: ok}"), "the unknown key `<<`"),
        (sli("good: ok, [good]: ok"), "the unknown key a list"),
        (sli("good: ok, {good: ok}: ok"), "the unknown key a block of keys"),
        (sli("good: ok, ~: ok"), "the unknown key nothing"),
        (sli("good: ok, groupBy: {version: [], 'version': []}"), "the key `version` again"),
        (sli("good: ok, groupBy: {version: [~]}"), "groupBy.version[0]: found nothing"),
        (sli("good: ok, groupBy: {attributes.: []}"), "found `attributes.`"),
        (sli("good: ok").replace("\n  ratio", "\n\tratio"), "tabs"),
        (sli("good: ok").replace("---\n", "---\n\u{feff}"), "BOM"),
        (format!("{}---\n*x\n", sli("good: ok").replace("name: a", "name: &x a")), "unknown anchor"),
    ] {
        let found = read(&text).expect_err("a mistake");
        assert!(found.contains(expected), "{text}\n{found}");
    }
    let values = read(&sli("good: ok, groupBy: {version: [1.0, 01, on, 0x1, 1.0]}")).expect("texts as they stand");
    assert_eq!(values.slis["s"].group_by.values().next().expect("one"), &["01", "0x1", "1.0", "on"]);
}

#[test]
fn a_long_text_is_not_repeated_by_aliases_without_end() {
    let aliases = vec!["*a"; 2_000].join(", ");
    let found = read(&format!("a: &a {}\nb: [{aliases}]\n", "x".repeat(100_000))).expect_err("a mistake");
    assert!(found.contains("repeated by aliases"), "200 MB of text were made of 108 kB");
}
