//! `SLI` documents: which events of which topic and service, under which labels.

use std::collections::{BTreeMap, BTreeSet};

use streamgauge_events::Kind;
use streamgauge_predicate::Predicate;

use super::measure::{event_measure, slice_measure};
use super::{GOLDEN_NAMES, Known, SOURCE_TYPE, neither_or_both, source_type};
use crate::mistake::{Map, Reader, closest, listed, text_of};
use crate::model::{Label, Sli};
use crate::yaml::{Content, Node, Place};

/// Labels of one SLI: each is a part of every one of its series.
const LABELS_MAX: usize = 4;
/// Values declared for one label.
const VALUES_MAX: usize = 1000;
/// Of declared values of all labels: the bound of series does not apply to them.
const COMBINATIONS_MAX: usize = 1000;
/// As long as the longest value that an attribute may have.
const ATTRIBUTE_NAME_BYTES_MAX: usize = streamgauge_events::event::LABEL_BYTES_MAX;

pub(super) fn sli(reader: &mut Reader<'_>, mut map: Map<'_>, known: &Known<'_>) -> Option<Sli> {
    let mut spec = map.need_map(reader, "spec", "a block of keys")?;
    map.finish(reader, &["apiVersion", "kind", "metadata", "spec"]);
    spec.text(reader, "description", "a text");
    let (ratio, threshold) = (spec.take("ratioMetric"), spec.take("thresholdMetric"));
    let place = spec.place();
    spec.finish(reader, &["description", "ratioMetric", "thresholdMetric"]);
    match (ratio, threshold) {
        (Some(node), None) => {
            let mut metric = Map::of(reader, node, "spec.ratioMetric")?;
            let expect = |reader: &mut Reader<'_>, metric: &mut Map<'_>, key: &str, expected: &str, remedy: &str| {
                let node = metric.need(reader, key, &format!("`{expected}`"));
                if let Some(node) = node.filter(|node| node.text() != Some(expected)) {
                    reader.wrong(node, &format!("spec.ratioMetric.{key}"), &format!("`{expected}`"), remedy);
                }
            };
            expect(reader, &mut metric, "counter", "true", "Events are counted.");
            expect(reader, &mut metric, "rawType", "success", "`good` says what a good event is.");
            let raw = metric.need_map(reader, "raw", "a block with the metric source");
            metric.finish(reader, &["counter", "rawType", "raw"]);
            let mut raw = raw?;
            let source = raw.need_map(reader, "metricSource", "a block with type and spec");
            raw.finish(reader, &["metricSource"]);
            metric_source(reader, source?, Form::Ratio, known)
        }
        (None, Some(node)) => {
            let mut metric = Map::of(reader, node, "spec.thresholdMetric")?;
            let source = metric.need_map(reader, "metricSource", "a block with type and spec");
            metric.finish(reader, &["metricSource"]);
            metric_source(reader, source?, Form::Threshold, known)
        }
        (ratio, _) => {
            let remedy = "Single events are judged by `ratioMetric`, slices of time by `thresholdMetric`.";
            let found = neither_or_both(ratio.is_some(), "`ratioMetric`", "`thresholdMetric`");
            reader.mistake(place, "spec", &found, "one of them", remedy);
            None
        }
    }
}

/// Where the metric source stands: it judges events, or slices.
#[derive(Clone, Copy, PartialEq)]
enum Form {
    Ratio,
    Threshold,
}

const COMMON: [&str; 4] = ["topic", "service", "filter", "groupBy"];
const EVENTS: [&str; 6] = ["good", "latencyThresholdUs", "failures", "thresholdsUs", "goodCount", "totalCount"];
const SLICES: [&str; 7] = ["slice", "empty", "percentile", "mean", "traffic", "saturation", "freshness"];

fn metric_source(reader: &mut Reader<'_>, mut source: Map<'_>, form: Form, known: &Known<'_>) -> Option<Sli> {
    let definitions = known.definitions;
    let reference = source.take("metricSourceRef");
    match source.take("type") {
        None if reference.is_some() => {}
        None => {
            let remedy = "Add `type: streamgauge`, or name a DataSource by `metricSourceRef`.";
            let path = source.path_of("type");
            reader.mistake(source.place(), &path, "no such key", &format!("`{SOURCE_TYPE}`"), remedy);
        }
        found => {
            source_type(reader, found, &source.path_of("type"));
            if found.is_some_and(|node| node.text() != Some(SOURCE_TYPE)) {
                // What is meant for another tool is not ours to judge.
                return None;
            }
        }
    }
    let spec_node = source.need(reader, "spec", "a block of keys");
    let reference = reference.map(|node| (node, source.path_of("metricSourceRef")));
    let path = source.path_of("spec");
    source.finish(reader, &["metricSourceRef", "type", "spec"]);
    let mut spec = Map::of(reader, spec_node?, &path)?;
    let topic = spec.take("topic").map(|node| (node, format!("{path}.topic")));
    let data = data_source(reader, (spec.place(), &path), reference, topic, known);
    let service = spec.need(reader, "service", "the name of a service").and_then(|node| {
        let path = format!("{path}.service");
        let service = text_of(reader, node, &path, "the name of a service")?;
        let declared = || definitions.services.keys().map(String::as_str);
        if !definitions.services.contains_key(service) && !known.may_be_broken("Service", service, declared()) {
            let remedy = match closest(service, declared()) {
                Some(meant) => format!("Did you mean `{meant}`?"),
                None => format!("Add a document with `kind: Service` and metadata.name {service}."),
            };
            let known = if definitions.services.is_empty() {
                "a service that a document declares".to_owned()
            } else {
                format!("one that a document declares: {}", listed(declared()))
            };
            reader.wrong(node, &path, &known, &remedy);
        }
        Some(service.to_owned())
    });
    let kind = data.as_ref().map(|(_, kind)| *kind);
    let filter_node = spec.take("filter");
    let filter = filter_node.and_then(|node| predicate(reader, node, &format!("{path}.filter"), kind));
    let group_by = match spec.take("groupBy") {
        Some(node) => group_by(reader, node, &format!("{path}.groupBy"), kind),
        None => Some(BTreeMap::new()),
    };
    let measure = match form {
        Form::Ratio => event_measure(reader, &mut spec, kind),
        Form::Threshold => slice_measure(reader, &mut spec, kind),
    };
    let rest = spec.rest();
    finish_spec(reader, rest, &path, form);
    let (topic, _) = data?;
    if filter_node.is_some() && filter.is_none() {
        return None;
    }
    Some(Sli { service: service?, topic, filter, group_by: group_by?, good: measure? })
}

/// Keys that belong to the other form are called that.
fn finish_spec(reader: &mut Reader<'_>, rest: Vec<(&Node, &Node)>, path: &str, form: Form) {
    let (mine, others, elsewhere) = match form {
        Form::Ratio => (EVENTS.as_slice(), SLICES.as_slice(), "thresholdMetric"),
        Form::Threshold => (SLICES.as_slice(), EVENTS.as_slice(), "ratioMetric"),
    };
    for (key, _) in rest {
        let name = key.text().unwrap_or_default();
        let known: Vec<&str> = COMMON.iter().chain(mine).copied().collect();
        let remedy = if others.contains(&name) {
            format!(
                "`{name}` belongs under `spec.{elsewhere}.…`, which judges {}.",
                match form {
                    Form::Ratio => "slices of time",
                    Form::Threshold => "single events",
                }
            )
        } else {
            match closest(name, known.iter().copied()) {
                Some(meant) => format!("Did you mean `{meant}`?"),
                None => "Remove it: what can't be honoured is refused, never ignored.".to_owned(),
            }
        };
        let expected = format!("one of {}", listed(known.iter().copied()));
        reader.mistake(key.place, path, &format!("the unknown key {}", key.shown()), &expected, &remedy);
    }
}

/// Topic and kind of its events.
fn data_source(
    reader: &mut Reader<'_>,
    (place, path): (Place, &str),
    reference: Option<(&Node, String)>,
    topic: Option<(&Node, String)>,
    known: &Known<'_>,
) -> Option<(String, Kind)> {
    let definitions = known.definitions;
    let names = || definitions.sources.values().map(|source| source.name.as_str()).chain(GOLDEN_NAMES);
    match (reference, topic) {
        (Some((node, path)), None) => {
            let name = text_of(reader, node, &path, "the name of a DataSource")?;
            let declared = definitions.sources.iter().find(|(_, source)| source.name == name);
            let found = declared
                .map(|(topic, source)| (topic.clone(), source.event))
                .or_else(|| definitions.source(name).map(|source| (name.to_owned(), source.event)));
            if found.is_none() && !known.may_be_broken("DataSource", name, names()) {
                let remedy = match closest(name, names()) {
                    Some(meant) => format!("Did you mean `{meant}`?"),
                    None => format!("Add a document with `kind: DataSource` and metadata.name {name}."),
                };
                reader.wrong(node, &path, &format!("one of {}", listed(names())), &remedy);
            }
            found
        }
        (None, Some((node, path))) => {
            let name = text_of(reader, node, &path, "the name of a topic")?;
            let found = definitions.source(name).map(|source| (name.to_owned(), source.event));
            let topics = definitions.sources.keys().map(String::as_str).chain(GOLDEN_NAMES);
            if found.is_none() && !known.may_be_broken("DataSource", name, topics) {
                let known = definitions.sources.keys().map(String::as_str).chain(GOLDEN_NAMES);
                let remedy = match closest(name, known) {
                    Some(meant) => format!("Did you mean `{meant}`?"),
                    None => format!("Describe the topic by a document with `kind: DataSource` and topic {name}."),
                };
                let expected = "a topic that is known: `requests`, `scores`, `resources`, or one of a DataSource";
                reader.wrong(node, &path, expected, &remedy);
            }
            found
        }
        (reference, _) => {
            let remedy = "Name the topic by `topic:`, or its DataSource by `metricSourceRef:`.";
            let found = neither_or_both(reference.is_some(), "`topic`", "`metricSourceRef`");
            reader.mistake(place, path, &found, "one of them", remedy);
            None
        }
    }
}

pub(super) fn predicate(reader: &mut Reader<'_>, node: &Node, path: &str, kind: Option<Kind>) -> Option<String> {
    let text = text_of(reader, node, path, "a predicate such as `status < 500`")?;
    match Predicate::compile(text, kind?) {
        Ok(_) => Some(text.to_owned()),
        Err(errors) => {
            for error in errors {
                let place = node.place_within(error.at);
                let found = format!("{}: {}", node.shown(), error.message);
                let remedy = format!("{}.", error.remedy.trim_end_matches('.'));
                reader.mistake(place, path, &found, "a predicate that can be decided", &remedy);
            }
            None
        }
    }
}

fn group_by(
    reader: &mut Reader<'_>,
    node: &Node,
    path: &str,
    kind: Option<Kind>,
) -> Option<BTreeMap<Label, Vec<String>>> {
    let kind = kind?;
    let mut map = Map::of(reader, node, path)?;
    let mut labels = BTreeMap::new();
    let before = reader.mistakes.len();
    for (key, value) in map.rest() {
        let name = key.text().unwrap_or_default();
        let path = format!("{path}.{name}");
        let fits = |label: &Label| match label {
            Label::Text(field) => kind.field(field.name()).is_some(),
            Label::Attribute(name) => name.len() <= ATTRIBUTE_NAME_BYTES_MAX,
        };
        let Some(label) = Label::named(name).filter(fits) else {
            let fields = Label::FIELDS.iter().map(|field| field.name()).filter(|name| kind.field(name).is_some());
            let expected = format!(
                "one of {}, `attributes.NAME` with a name of at most {ATTRIBUTE_NAME_BYTES_MAX} bytes",
                listed(fields)
            );
            let remedy = "Ids can't be labels: every event would be a series of its own.";
            reader.mistake(key.place, &path, &key.shown(), &expected, remedy);
            continue;
        };
        let mut values = BTreeSet::new();
        match &value.content {
            Content::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    values.extend(text_of(reader, item, &format!("{path}[{index}]"), "a value").map(str::to_owned));
                }
            }
            Content::Scalar { .. } if value.text().is_none() => {}
            _ => reader.wrong(value, &path, "a list of declared values, perhaps empty", "Write `[]` for none."),
        }
        if values.len() > VALUES_MAX {
            let expected = format!("at most {VALUES_MAX} values");
            reader.wrong(value, &path, &expected, "Declare those that objectives are about.");
        }
        labels.insert(label, values.into_iter().collect());
    }
    if labels.len() > LABELS_MAX {
        let expected = format!("at most {LABELS_MAX} labels");
        reader.wrong(node, path, &expected, "Each combination of values is a series of its own.");
    }
    let combinations = labels.values().map(Vec::len).try_fold(1_usize, usize::checked_mul);
    if combinations.is_none_or(|count| count > COMBINATIONS_MAX) {
        let found = combinations.map_or("too many combinations".to_owned(), |count| format!("{count} combinations"));
        let expected = format!("at most {COMBINATIONS_MAX} combinations of declared values");
        let remedy = "Each is a series in every pane: declare those that objectives are about.";
        reader.mistake(node.place, path, &found, &expected, remedy);
    }
    (reader.mistakes.len() == before).then_some(labels)
}
