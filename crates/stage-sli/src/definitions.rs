//! What to measure: OpenSLO v1 `Service` and `SLI` documents with our metric source, several in a file.
//!
//! What can't be honoured is refused with file, line, path and remedy, never ignored.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use streamgauge_events::topics;

use crate::GOLDEN;
use crate::predicate::Predicate;

/// Every document of a set of files, checked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Definitions {
    /// Declared services: each has its own record key and its own bound of series.
    pub services: BTreeMap<String, Service>,
    pub slis: BTreeMap<String, Sli>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    #[serde(default)]
    pub display_name: Option<String>,
    #[serde(default)]
    pub description: Option<String>,
}

/// A ratio over the requests of one service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sli {
    pub service: String,
    /// Which requests count; all of the service if absent.
    pub filter: Option<String>,
    pub good: Good,
}

/// What makes a request good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Good {
    /// A predicate decides.
    When(String),
    /// Successful within the threshold; requests that failed are bad, or left out.
    Latency { threshold_us: u64, failures: Failures },
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Failures {
    #[default]
    Bad,
    Exclude,
}

/// Where and why a definition is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {message}")]
pub struct DefinitionError {
    pub file: String,
    pub line: u64,
    pub message: String,
}

// ---- the documents as they are written

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    api_version: String,
    kind: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Document<Spec> {
    #[serde(rename = "apiVersion")]
    _api_version: String,
    #[serde(rename = "kind")]
    _kind: String,
    metadata: Metadata,
    spec: Spec,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Metadata {
    name: String,
    #[serde(default)]
    display_name: Option<String>,
    #[serde(default, rename = "labels")]
    _labels: BTreeMap<String, String>,
    #[serde(default, rename = "annotations")]
    _annotations: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ServiceSpec {
    #[serde(default)]
    description: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SliSpec {
    #[serde(default, rename = "description")]
    _description: Option<String>,
    ratio_metric: RatioMetric,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RatioMetric {
    counter: bool,
    raw_type: RawType,
    raw: Raw,
}

#[derive(Deserialize, PartialEq)]
#[serde(rename_all = "camelCase")]
enum RawType {
    Success,
    Failure,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Raw {
    metric_source: MetricSource,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct MetricSource {
    r#type: String,
    spec: SourceSpec,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SourceSpec {
    topic: String,
    service: String,
    #[serde(default)]
    filter: Option<String>,
    #[serde(default)]
    good: Option<String>,
    #[serde(default)]
    latency_threshold_us: Option<u64>,
    #[serde(default)]
    failures: Option<Failures>,
}

const API_VERSION: &str = "openslo/v1";
const SOURCE_TYPE: &str = "streamgauge";

impl Definitions {
    /// Adds the documents of one file.
    pub fn add_file(&mut self, file: &str, text: &str) -> Result<(), DefinitionError> {
        for (first_line, document) in documents(text) {
            self.add_document(&document).map_err(|Refused { line, message }| DefinitionError {
                file: file.to_owned(),
                line: line.unwrap_or(first_line),
                message,
            })?;
        }
        Ok(())
    }

    /// Every SLI's service must be declared. Called when all files are in.
    pub fn check(&self) -> Result<(), DefinitionError> {
        for (name, sli) in &self.slis {
            if !self.services.contains_key(&sli.service) {
                let service = &sli.service;
                let message = format!(
                    "SLI {name} measures service {service}, which no document declares: add `kind: Service` with metadata.name {service}"
                );
                return Err(DefinitionError { file: "definitions".to_owned(), line: 0, message });
            }
        }
        Ok(())
    }

    fn add_document(&mut self, text: &str) -> Result<(), Refused> {
        let head: Head = serde_saphyr::from_str(text)?;
        if head.api_version != API_VERSION {
            return Err(Refused::new(format!("apiVersion is {:?}; {API_VERSION:?} is supported", head.api_version)));
        }
        match head.kind.as_str() {
            "Service" => {
                let Document { metadata, spec, .. } = serde_saphyr::from_str::<Document<ServiceSpec>>(text)?;
                checked_name(&metadata.name)?;
                let service = Service { display_name: metadata.display_name, description: spec.description };
                once(self.services.insert(metadata.name.clone(), service).is_some(), "Service", &metadata.name)
            }
            "SLI" => {
                let Document { metadata, spec, .. } = serde_saphyr::from_str::<Document<SliSpec>>(text)?;
                checked_name(&metadata.name)?;
                let sli = spec.ratio_metric.into_sli()?;
                once(self.slis.insert(metadata.name.clone(), sli).is_some(), "SLI", &metadata.name)
            }
            kind => Err(Refused::new(format!("kind is {kind:?}; Service and SLI are supported"))),
        }
    }
}

impl RatioMetric {
    fn into_sli(self) -> Result<Sli, Refused> {
        let spec = self.raw.metric_source.spec;
        if !self.counter {
            return Err(Refused::new("spec.ratioMetric.counter must be true: events are counted"));
        }
        if self.raw_type != RawType::Success {
            return Err(Refused::new("spec.ratioMetric.rawType must be success: `good` says what a good event is"));
        }
        if self.raw.metric_source.r#type != SOURCE_TYPE {
            let found = self.raw.metric_source.r#type;
            return Err(Refused::new(format!(
                "spec.ratioMetric.raw.metricSource.type is {found:?}; {SOURCE_TYPE:?} is supported"
            )));
        }
        if spec.topic != topics::REQUESTS {
            return Err(Refused::new(format!("topic is {:?}; {:?} is supported", spec.topic, topics::REQUESTS)));
        }
        if let Some(filter) = &spec.filter {
            Predicate::parse(filter).map_err(|error| Refused::new(format!("filter {filter:?}: {error}")))?;
        }
        let good = match (spec.good, spec.latency_threshold_us) {
            (Some(good), None) => {
                Predicate::parse(&good).map_err(|error| Refused::new(format!("good {good:?}: {error}")))?;
                if spec.failures.is_some() {
                    return Err(Refused::new(
                        "failures belongs to latencyThresholdUs; say in `good` what a failure is",
                    ));
                }
                Good::When(good)
            }
            (None, Some(threshold_us)) => Good::Latency { threshold_us, failures: spec.failures.unwrap_or_default() },
            _ => return Err(Refused::new("the metric source needs either `good` or `latencyThresholdUs`")),
        };
        Ok(Sli { service: spec.service, filter: spec.filter, good })
    }
}

fn once(repeated: bool, kind: &str, name: &str) -> Result<(), Refused> {
    if repeated { Err(Refused::new(format!("{kind} {name} is defined twice"))) } else { Ok(()) }
}

fn checked_name(name: &str) -> Result<(), Refused> {
    if name == GOLDEN {
        return Err(Refused::new(format!("the name {GOLDEN} is taken by the golden signals")));
    }
    if name.is_empty() || name.len() > 128 || name.starts_with("__") {
        return Err(Refused::new(format!("metadata.name {name:?} must have 1 to 128 bytes and not begin with __")));
    }
    Ok(())
}

struct Refused {
    line: Option<u64>,
    message: String,
}

impl Refused {
    fn new(message: impl Into<String>) -> Self {
        Self { line: None, message: message.into() }
    }
}

impl From<serde_saphyr::Error> for Refused {
    fn from(error: serde_saphyr::Error) -> Self {
        Self { line: error.location().map(|location| location.line()), message: error.to_string() }
    }
}

/// The documents of a file, each with its first line and padded so that a parser counts lines as the file does.
fn documents(text: &str) -> Vec<(u64, String)> {
    let mut documents = vec![(1, String::new())];
    for (index, line) in text.lines().enumerate() {
        if line.trim_end() == "---" {
            documents.push((index as u64 + 2, "\n".repeat(index + 1)));
        } else if let Some((_, document)) = documents.last_mut() {
            document.push_str(line);
            document.push('\n');
        }
    }
    let is_blank =
        |document: &String| document.lines().all(|line| line.trim().is_empty() || line.trim().starts_with('#'));
    documents.retain(|(_, document)| !is_blank(document));
    documents
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    const SERVICE: &str = "
apiVersion: openslo/v1
kind: Service
metadata: {name: checkout}
spec: {description: Takes the money}
";

    fn sli(source: &str) -> String {
        format!(
            "apiVersion: openslo/v1
kind: SLI
metadata: {{name: checkout-fast}}
spec:
  ratioMetric:
    counter: true
    rawType: success
    raw:
      metricSource:
        type: streamgauge
        spec: {source}
"
        )
    }

    fn read(text: &str) -> Result<Definitions, DefinitionError> {
        let mut definitions = Definitions::default();
        definitions.add_file("slis.yaml", text)?;
        definitions.check()?;
        Ok(definitions)
    }

    #[test]
    fn a_service_and_its_slis() {
        let text = format!("{SERVICE}---\n{}", sli("{topic: requests, service: checkout, latencyThresholdUs: 300000}"));
        let definitions = read(&text).expect("valid definitions");
        assert!(definitions.services.contains_key("checkout"));
        let good = Good::Latency { threshold_us: 300_000, failures: Failures::Bad };
        assert_eq!(definitions.slis["checkout-fast"], Sli { service: "checkout".to_owned(), filter: None, good });
    }

    #[track_caller]
    fn check_error(text: &str, expected: Expect) {
        expected.assert_eq(&read(text).expect_err("refused").to_string());
    }

    #[test]
    fn what_cannot_be_honoured_is_refused() {
        check_error(
            "apiVersion: v2\nkind: Service\n",
            expect![[r#"slis.yaml:1: apiVersion is "v2"; "openslo/v1" is supported"#]],
        );
        check_error(
            "apiVersion: openslo/v1\nkind: SLO\n",
            expect![[r#"slis.yaml:1: kind is "SLO"; Service and SLI are supported"#]],
        );
        let twice = format!("{SERVICE}---{SERVICE}");
        check_error(&twice, expect!["slis.yaml:7: Service checkout is defined twice"]);
        check_error(
            &sli("{topic: requests, service: shop, good: status < 500}"),
            expect![
                "definitions:0: SLI checkout-fast measures service shop, which no document declares: add `kind: Service` with metadata.name shop"
            ],
        );
        check_error(
            &sli("{topic: requests, service: checkout, good: code < 500}"),
            expect![[
                r#"slis.yaml:1: good "code < 500": a request has no field code; it has service, tenant, route, method, version, environment, region, status, latency_us, ok (at column 1)"#
            ]],
        );
        check_error(
            &sli("{topic: requests, service: checkout}"),
            expect!["slis.yaml:1: the metric source needs either `good` or `latencyThresholdUs`"],
        );
        let unknown = read(&sli("{topic: requests, service: checkout, goood: status < 500}")).expect_err("refused");
        assert_eq!(unknown.line, 11);
        assert!(unknown.message.contains("goood"), "{unknown}");
    }
}
