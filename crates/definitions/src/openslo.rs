//! Documents of OpenSLO v1 → definitions, with every mistake of all files at once.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use streamgauge_decode::{AvroSchemas, Framing};
use streamgauge_events::{Kind, topics};
use streamgauge_predicate::Predicate;

use crate::mistake::{Map, Mistake, Reader, listed, text_of};
use crate::model::{
    Aggregate, Bounds, DataSource, Definitions, Empty, Failures, Format, Label, Measure, Rule, Service, Sli, Slice,
    WriterSchema,
};
use crate::scalar::{duration_text, duration_us, millionths, share};
use crate::yaml::{self, Content, Node, Place};

const API_VERSION: &str = "openslo/v1";
const SOURCE_TYPE: &str = "streamgauge";
const REMEDY: &str = "docs/definitions.md shows each document as a whole.";

/// The SLIs that every topic has without a definition.
pub const GOLDEN_NAMES: [&str; 3] = [topics::REQUESTS, topics::SCORES, topics::RESOURCES];

/// Labels of one SLI: each is a part of every one of its series.
const LABELS_MAX: usize = 4;
/// Values declared for one label.
const VALUES_MAX: usize = 1000;
const THRESHOLDS_MAX: usize = 16;
/// A slice holds whole panes of this length; other lengths of panes are checked where they are set.
const PANE_US: i64 = 10_000_000;

/// Reads the schema file that a definition file names: (definition file, name) → text, or why not.
pub type SchemaFile<'r> = &'r dyn Fn(&str, &str) -> Result<String, String>;

impl Definitions {
    /// All files together: (name, text).
    pub fn read<'t>(
        files: impl IntoIterator<Item = (&'t str, &'t str)>,
        schema_file: SchemaFile<'_>,
    ) -> Result<Self, Vec<Mistake>> {
        let mut all = Reading {
            definitions: Self::default(),
            mistakes: Vec::new(),
            slis: Vec::new(),
            broken: BTreeSet::new(),
            schema_file,
        };
        for (file, text) in files {
            all.file(file, text);
        }
        all.finish()
    }
}

impl Definitions {
    /// One text that names no schema files.
    pub fn of_text(file: &str, text: &str) -> Result<Self, Vec<Mistake>> {
        let no_files = |_: &str, _: &str| Err("there are no files beside this text".to_owned());
        Self::read([(file, text)], &no_files)
    }
}

struct Reading<'r> {
    definitions: Definitions,
    mistakes: Vec<Mistake>,
    /// SLIs wait until every service and source is known.
    slis: Vec<(String, String, Node)>,
    /// Services and sources that are there, but wrong: whoever refers to them makes no mistake by that.
    broken: BTreeSet<String>,
    schema_file: SchemaFile<'r>,
}

/// What SLIs may refer to.
struct Known<'k> {
    definitions: &'k Definitions,
    broken: &'k BTreeSet<String>,
}

impl Reading<'_> {
    fn file(&mut self, file: &str, text: &str) {
        let (documents, error) = yaml::documents(text);
        for document in documents {
            self.document(file, document);
        }
        if let Some(error) = error {
            let mut reader = Reader { file, document: String::new(), mistakes: &mut self.mistakes };
            let remedy = "Look at the indentation and the quotes there and just above.";
            reader.mistake(error.place, "", &format!("a mistake of syntax ({})", error.message), "valid YAML", remedy);
        }
    }

    fn document(&mut self, file: &str, node: Node) {
        let Self { definitions, mistakes, broken, .. } = self;
        let mut reader = Reader { file, document: String::new(), mistakes };
        let Some(mut map) = Map::of(&mut reader, &node, "") else { return };
        let Some(Head { kind, name, display_name }) = head(&mut reader, &mut map) else { return };
        match kind.as_str() {
            "Service" => {
                let Some(service) = service(&mut reader, map, display_name) else {
                    broken.insert(name);
                    return;
                };
                match definitions.services.entry(name) {
                    Entry::Occupied(_) => twice(&mut reader, node.place),
                    Entry::Vacant(entry) => drop(entry.insert(service)),
                }
            }
            "DataSource" => {
                let found = source(&mut reader, map, &name, self.schema_file);
                let Some((topic, place, source)) = found else {
                    broken.insert(name);
                    return;
                };
                if definitions.sources.values().any(|known| known.name == name) {
                    twice(&mut reader, node.place);
                } else if let Some(other) = definitions.sources.get(&topic) {
                    let found = format!("`{topic}`, which the DataSource `{}` describes already", other.name);
                    let remedy = "Describe each topic once.";
                    reader.mistake(place, "spec.connectionDetails.topic", &found, "a topic of its own", remedy);
                } else {
                    definitions.sources.insert(topic, source);
                }
            }
            _ => {
                if self.slis.iter().any(|(_, known, _)| *known == name) {
                    twice(&mut reader, node.place);
                } else {
                    self.slis.push((file.to_owned(), name, node));
                }
            }
        }
    }

    fn finish(mut self) -> Result<Definitions, Vec<Mistake>> {
        for (file, name, node) in std::mem::take(&mut self.slis) {
            // Its head has been read before: what is wrong there is known.
            let mut known = Vec::new();
            let mut again = Reader { file: &file, document: String::new(), mistakes: &mut known };
            let Some(mut map) = Map::of(&mut again, &node, "") else { continue };
            head(&mut again, &mut map);
            let mut reader = Reader { file: &file, document: String::new(), mistakes: &mut self.mistakes };
            reader.document = format!("SLI/{name}");
            let known = Known { definitions: &self.definitions, broken: &self.broken };
            if let Some(sli) = sli(&mut reader, map, &known) {
                self.definitions.slis.insert(name, sli);
            }
        }
        if self.mistakes.is_empty() {
            return Ok(self.definitions);
        }
        self.mistakes.sort();
        Err(self.mistakes)
    }
}

fn twice(reader: &mut Reader<'_>, place: Place) {
    let document = reader.document.clone();
    reader.mistake(
        place,
        "metadata.name",
        &format!("`{document}` again"),
        "a name of its own",
        "Rename or remove one.",
    );
}

struct Head {
    kind: String,
    name: String,
    display_name: Option<String>,
}

/// What every document begins with; `reader` names the document from then on.
fn head(reader: &mut Reader<'_>, map: &mut Map<'_>) -> Option<Head> {
    let version = map.need(reader, "apiVersion", &format!("`{API_VERSION}`"));
    if let Some(node) = version.filter(|node| node.text() != Some(API_VERSION)) {
        reader.wrong(node, "apiVersion", &format!("`{API_VERSION}`"), "Other versions of OpenSLO are not supported.");
    }
    let kinds = "`Service`, `DataSource` or `SLI`";
    let kind_node = map.need(reader, "kind", kinds);
    let kind = kind_node.and_then(Node::text).filter(|kind| ["Service", "DataSource", "SLI"].contains(kind));
    if let (Some(node), None) = (kind_node, kind) {
        reader.wrong(node, "kind", kinds, "Remove the document, or keep it where streamgauge does not read it.");
    }
    let metadata = map.need_map(reader, "metadata", "a block with the name");
    let mut display_name = None;
    let name = metadata.and_then(|mut metadata| {
        let node = metadata.need(reader, "name", "a name");
        display_name = metadata.text(reader, "displayName", "a text").map(str::to_owned);
        metadata.take("labels");
        metadata.take("annotations");
        metadata.finish(reader, &["name", "displayName", "labels", "annotations"]);
        checked_name(reader, node?)
    });
    let (kind, name) = (kind?.to_owned(), name?);
    reader.document = format!("{kind}/{name}");
    Some(Head { kind, name, display_name })
}

fn checked_name(reader: &mut Reader<'_>, node: &Node) -> Option<String> {
    let name = text_of(reader, node, "metadata.name", "a name")?;
    if GOLDEN_NAMES.contains(&name) {
        let remedy = "That name is taken by the golden signals: choose another one.";
        reader.wrong(node, "metadata.name", "a name of its own", remedy);
        return None;
    }
    if name.is_empty() || name.len() > 128 || name.starts_with("__") {
        reader.wrong(node, "metadata.name", "1 to 128 bytes that don't begin with __", "Choose another name.");
        return None;
    }
    Some(name.to_owned())
}

// ---- Service

fn service(reader: &mut Reader<'_>, mut map: Map<'_>, display_name: Option<String>) -> Option<Service> {
    let mut spec = map.need_map(reader, "spec", "a block of keys; `{}` if there is nothing to say")?;
    let description = spec.text(reader, "description", "a text").map(str::to_owned);
    spec.finish(reader, &["description"]);
    map.finish(reader, &["apiVersion", "kind", "metadata", "spec"]);
    Some(Service { display_name, description })
}

// ---- DataSource

fn source(
    reader: &mut Reader<'_>,
    mut map: Map<'_>,
    name: &str,
    schema_file: SchemaFile<'_>,
) -> Option<(String, Place, DataSource)> {
    let mut spec = map.need_map(reader, "spec", "a block of keys")?;
    map.finish(reader, &["apiVersion", "kind", "metadata", "spec"]);
    let found = spec.need(reader, "type", &format!("`{SOURCE_TYPE}`"));
    source_type(reader, found, "spec.type");
    if found.is_some_and(|node| node.text() != Some(SOURCE_TYPE)) {
        return None;
    }
    spec.text(reader, "description", "a text");
    let details = spec.need_map(reader, "connectionDetails", "a block with topic, event and format");
    spec.finish(reader, &["description", "type", "connectionDetails"]);
    let mut details = details?;
    let path = details.path.clone();
    let topic = details.need(reader, "topic", "the name of a topic").and_then(|node| {
        let topic = text_of(reader, node, &format!("{path}.topic"), "the name of a topic")?;
        let is_legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if topic.len() > 249 || !topic.chars().all(is_legal) {
            let remedy = "Kafka's topics are named by letters, digits, `.`, `_` and `-`.";
            reader.wrong(node, &format!("{path}.topic"), "the name of a topic", remedy);
            return None;
        }
        Some((topic.to_owned(), node.place))
    });
    let kinds = listed(Kind::ALL.map(Kind::as_str));
    let event = details.need(reader, "event", &format!("one of {kinds}")).and_then(|node| {
        let kind = Kind::ALL.into_iter().find(|kind| node.text() == Some(kind.as_str()));
        if kind.is_none() {
            reader.wrong(
                node,
                &format!("{path}.event"),
                &format!("one of {kinds}"),
                "docs/formats.md shows their fields.",
            );
        }
        kind
    });
    let format = format(reader, &mut details, event, schema_file);
    details.finish(reader, &["topic", "event", "format", "framing", "schemas"]);
    let (topic, place) = topic?;
    Some((topic, place, DataSource { name: name.to_owned(), event: event?, format: format? }))
}

fn source_type(reader: &mut Reader<'_>, found: Option<&Node>, path: &str) {
    if let Some(node) = found.filter(|node| node.text() != Some(SOURCE_TYPE)) {
        let remedy = "Other types are for other tools; keep their documents where streamgauge does not read them.";
        reader.wrong(node, path, &format!("`{SOURCE_TYPE}`"), remedy);
    }
}

fn format(
    reader: &mut Reader<'_>,
    details: &mut Map<'_>,
    event: Option<Kind>,
    schema_file: SchemaFile<'_>,
) -> Option<Format> {
    let path = details.path.clone();
    let (framing, schemas) = (details.take("framing"), details.take("schemas"));
    let node = details.take("format");
    match node.map_or(Some("json"), Node::text) {
        Some("json") => {
            for (key, node) in [("framing", framing), ("schemas", schemas)] {
                if let Some(node) = node {
                    reader.wrong(node, &format!("{path}.{key}"), "no such key with `format: json`", "Remove it.");
                }
            }
            Some(Format::Json)
        }
        Some("avro") => {
            let place = details.place();
            let expected = "`single-object` or `confluent`";
            let framing_path = format!("{path}.framing");
            let Some(node) = framing else {
                reader.mistake(place, &framing_path, "no such key", expected, "Add `framing:`.");
                return None;
            };
            let framing = match node.text() {
                Some("single-object") => Framing::SingleObject,
                Some("confluent") => Framing::Confluent,
                _ => {
                    reader.wrong(node, &framing_path, expected, "docs/formats.md tells them apart.");
                    return None;
                }
            };
            let Some(node) = schemas else {
                let remedy = "Add `schemas:` with the schemas that records were written with.";
                reader.mistake(place, &format!("{path}.schemas"), "no such key", "a list of schemas", remedy);
                return None;
            };
            let schemas = writer_schemas(reader, node, &format!("{path}.schemas"), framing, event, schema_file)?;
            Some(Format::Avro { framing, schemas })
        }
        _ => {
            if let Some(node) = node {
                reader.wrong(node, &format!("{path}.format"), "`json` or `avro`", "docs/formats.md describes both.");
            }
            None
        }
    }
}

fn writer_schemas(
    reader: &mut Reader<'_>,
    node: &Node,
    path: &str,
    framing: Framing,
    event: Option<Kind>,
    schema_file: SchemaFile<'_>,
) -> Option<Vec<WriterSchema>> {
    let Content::List(items) = &node.content else {
        reader.wrong(node, path, "a list of schemas", REMEDY);
        return None;
    };
    if items.is_empty() {
        reader.wrong(node, path, "at least one schema", "Without one, every record is a dead letter.");
        return None;
    }
    let mut schemas = BTreeSet::new();
    let before = reader.mistakes.len();
    for (index, item) in items.iter().enumerate() {
        let path = format!("{path}[{index}]");
        let Some(mut map) = Map::of(reader, item, &path) else { continue };
        let id_node = map.take("id");
        let id = id_node.and_then(|node| {
            let id = node.text().and_then(|text| text.parse::<u32>().ok());
            if id.is_none() {
                reader.wrong(
                    node,
                    &format!("{path}.id"),
                    "the registry's id, an integer",
                    "Look it up in the registry.",
                );
            }
            id.map(|id| (id, node))
        });
        match (framing, id) {
            (Framing::Confluent, None) if id_node.is_none() => {
                let remedy = "Records name their schema by this id: add `id:`.";
                reader.mistake(item.place, &format!("{path}.id"), "no such key", "the registry's id", remedy);
            }
            (Framing::SingleObject, Some((_, node))) => {
                let remedy = "Remove it: records name their schema by its fingerprint.";
                reader.wrong(node, &format!("{path}.id"), "no id with `framing: single-object`", remedy);
            }
            _ => {}
        }
        let text = match (map.take("file"), map.take("schema")) {
            (Some(node), None) => {
                text_of(reader, node, &format!("{path}.file"), "the name of a file").and_then(|name| {
                    schema_file(reader.file, name)
                        .map_err(|cause| {
                            let remedy = "The name counts from the directory of this file.";
                            reader.wrong(
                                node,
                                &format!("{path}.file"),
                                &format!("a file that can be read ({cause})"),
                                remedy,
                            );
                        })
                        .ok()
                        .map(|text| (text, node))
                })
            }
            (None, Some(node)) => text_of(reader, node, &format!("{path}.schema"), "the text of a schema")
                .map(|text| (text.to_owned(), node)),
            (file, _) => {
                let remedy = "Say `file:` with its name, or `schema:` with its text.";
                let found = neither_or_both(file.is_some(), "`file`", "`schema`");
                reader.mistake(item.place, &path, &found, "one of them", remedy);
                None
            }
        };
        map.finish(reader, &["id", "file", "schema"]);
        let Some((schema, node)) = text else { continue };
        let id = id.map(|(id, _)| id);
        // Of a schema without its id nothing more can be said.
        let has_its_id = framing == Framing::SingleObject || id.is_some();
        if let Some(event) = event.filter(|_| has_its_id)
            && let Err(error) = AvroSchemas::new(event, framing, &[(id, schema.as_str())])
        {
            let expected = format!("a schema that can be read as a {event}");
            reader.mistake(
                node.place,
                &path,
                &format!("a schema that can't be used ({error})"),
                &expected,
                "docs/formats.md has the rules.",
            );
        }
        // The same text with other blanks is another schema to a hash: keep the canonical one.
        let schema = serde_json::from_str::<serde_json::Value>(&schema).map_or(schema, |value| value.to_string());
        schemas.insert(WriterSchema { id, schema });
    }
    let ids: BTreeSet<Option<u32>> = schemas.iter().map(|schema| schema.id).collect();
    if framing == Framing::Confluent && ids.len() < schemas.len() {
        reader.wrong(node, path, "each id once", "One id names one schema.");
    }
    (reader.mistakes.len() == before).then(|| schemas.into_iter().collect())
}

// ---- SLI

fn sli(reader: &mut Reader<'_>, mut map: Map<'_>, known: &Known<'_>) -> Option<Sli> {
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

/// Of two keys one was expected: `both` tells which mistake was made.
fn neither_or_both(both: bool, one: &str, other: &str) -> String {
    if both { format!("both {one} and {other}") } else { format!("neither {one} nor {other}") }
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
        if !definitions.services.contains_key(service) && !known.broken.contains(service) {
            let remedy = format!("Add a document with `kind: Service` and metadata.name {service}.");
            let known = if definitions.services.is_empty() {
                "a service that a document declares".to_owned()
            } else {
                format!("one that a document declares: {}", listed(definitions.services.keys().map(String::as_str)))
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
            match crate::mistake::closest(name, known.iter().copied()) {
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
    Known { definitions, broken }: &Known<'_>,
) -> Option<(String, Kind)> {
    let names = || {
        let mut names: Vec<&str> = definitions.sources.values().map(|source| source.name.as_str()).collect();
        names.extend(GOLDEN_NAMES);
        listed(names)
    };
    match (reference, topic) {
        (Some((node, path)), None) => {
            let name = text_of(reader, node, &path, "the name of a DataSource")?;
            let declared = definitions.sources.iter().find(|(_, source)| source.name == name);
            let found = declared
                .map(|(topic, source)| (topic.clone(), source.event))
                .or_else(|| definitions.source(name).map(|source| (name.to_owned(), source.event)));
            if found.is_none() && !broken.contains(name) {
                let remedy = format!("Add a document with `kind: DataSource` and metadata.name {name}.");
                reader.wrong(node, &path, &format!("one of {}", names()), &remedy);
            }
            found
        }
        (None, Some((node, path))) => {
            let name = text_of(reader, node, &path, "the name of a topic")?;
            let found = definitions.source(name).map(|source| (name.to_owned(), source.event));
            if found.is_none() {
                let remedy = format!("Describe the topic by a document with `kind: DataSource` and topic {name}.");
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

fn predicate(reader: &mut Reader<'_>, node: &Node, path: &str, kind: Option<Kind>) -> Option<String> {
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
            Label::Attribute(_) => true,
        };
        let Some(label) = Label::named(name).filter(fits) else {
            let fields = Label::FIELDS.iter().map(|field| field.name()).filter(|name| kind.field(name).is_some());
            let expected = format!("one of {}, `attributes.NAME`", listed(fields));
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
    (reader.mistakes.len() == before).then_some(labels)
}

fn event_measure(reader: &mut Reader<'_>, spec: &mut Map<'_>, kind: Option<Kind>) -> Option<Measure> {
    let path = spec.path.clone();
    let good = spec.take("good");
    let threshold = spec.take("latencyThresholdUs");
    let failures_node = spec.take("failures");
    let more_node = spec.take("thresholdsUs");
    let (good_count, total_count) = (spec.take("goodCount"), spec.take("totalCount"));
    let counts = good_count.is_some() || total_count.is_some();
    match (good, threshold, counts) {
        (Some(node), None, false) => {
            for (key, node) in [("failures", failures_node), ("thresholdsUs", more_node)] {
                if let Some(node) = node {
                    let remedy = "Say in `good` what a failure is, or use `latencyThresholdUs`.";
                    reader.wrong(node, &format!("{path}.{key}"), "no such key beside `good`", remedy);
                }
            }
            predicate(reader, node, &format!("{path}.good"), kind).map(Measure::When)
        }
        (None, Some(node), false) => {
            only_of(reader, node, &format!("{path}.latencyThresholdUs"), kind, Kind::Request, "a latency");
            let threshold_us = micros(reader, node, &format!("{path}.latencyThresholdUs"));
            let failures = failures_node.map_or(Some(Failures::Bad), |node| match node.text() {
                Some("bad") => Some(Failures::Bad),
                Some("exclude") => Some(Failures::Exclude),
                _ => {
                    let remedy = "Failed requests count as bad, or don't count.";
                    reader.wrong(node, &format!("{path}.failures"), "`bad` or `exclude`", remedy);
                    None
                }
            });
            let thresholds_us = more_node.map_or(Some(Vec::new()), |node| thresholds(reader, node, &path));
            Some(Measure::Latency { threshold_us: threshold_us?, failures: failures?, thresholds_us: thresholds_us? })
        }
        (None, None, true) => {
            let place = spec.place();
            let mut fits = true;
            for (key, node, expected) in [("goodCount", good_count, "good"), ("totalCount", total_count, "total")] {
                let path = format!("{path}.{key}");
                match node {
                    None => {
                        reader.mistake(
                            place,
                            &path,
                            "no such key",
                            &format!("`{expected}`"),
                            &format!("Add `{key}: {expected}`."),
                        );
                        fits = false;
                    }
                    Some(node) if node.text() != Some(expected) => {
                        let remedy = "Scores carry these two counts.";
                        reader.wrong(node, &path, &format!("`{expected}`"), remedy);
                        fits = false;
                    }
                    Some(node) => fits &= only_of(reader, node, &path, kind, Kind::Score, "counts"),
                }
            }
            fits.then_some(Measure::Counts)
        }
        _ => {
            let remedy = "A predicate decides (`good`), a latency (`latencyThresholdUs`), or counts in the event \
                (`goodCount` and `totalCount`).";
            let several = good.is_some() || threshold.is_some() || counts;
            let found = if several { "several ways to judge an event" } else { "no way to judge an event" };
            reader.mistake(spec.place(), &path, found, "one of them", remedy);
            None
        }
    }
}

fn only_of(reader: &mut Reader<'_>, node: &Node, path: &str, kind: Option<Kind>, needed: Kind, what: &str) -> bool {
    let fits = kind.is_none_or(|kind| kind == needed);
    if !fits {
        let found = kind.map_or("", Kind::as_str);
        let expected =
            format!("a topic of {needed} events, since only those have {what}; this one holds {found} events");
        reader.wrong(node, path, &expected, "Measure another topic, or judge in another way.");
    }
    fits
}

fn micros(reader: &mut Reader<'_>, node: &Node, path: &str) -> Option<u64> {
    let max = streamgauge_events::event::LATENCY_US_MAX as u64;
    let value = node.text().and_then(|text| text.parse::<u64>().ok()).filter(|us| (1..=max).contains(us));
    if value.is_none() {
        let expected = format!("a whole number of microseconds from 1 to {max}");
        reader.wrong(node, path, &expected, "300 ms are 300000.");
    }
    value
}

fn thresholds(reader: &mut Reader<'_>, node: &Node, path: &str) -> Option<Vec<u64>> {
    let path = format!("{path}.thresholdsUs");
    let Content::List(items) = &node.content else {
        reader.wrong(node, &path, "a list of microseconds", "Such as `[100000, 300000]`.");
        return None;
    };
    if items.len() > THRESHOLDS_MAX {
        reader.wrong(
            node,
            &path,
            &format!("at most {THRESHOLDS_MAX}"),
            "Other thresholds are answered by the histogram.",
        );
        return None;
    }
    let values: Vec<Option<u64>> =
        items.iter().enumerate().map(|(index, item)| micros(reader, item, &format!("{path}[{index}]"))).collect();
    let values: Option<BTreeSet<u64>> = values.into_iter().collect();
    Some(values?.into_iter().collect())
}

// ---- slices

const RULES: [&str; 5] = ["percentile", "mean", "traffic", "saturation", "freshness"];

fn slice_measure(reader: &mut Reader<'_>, spec: &mut Map<'_>, kind: Option<Kind>) -> Option<Measure> {
    let path = spec.path.clone();
    let length = spec.need(reader, "slice", "a duration such as 5m");
    let length_us = length.and_then(|node| {
        let us = duration(reader, node, &format!("{path}.slice"))?;
        if us % PANE_US != 0 {
            let next = duration_text((us / PANE_US + 1) * PANE_US);
            let expected = format!("a multiple of the pane, which is {}", duration_text(PANE_US));
            reader.wrong(node, &format!("{path}.slice"), &expected, &format!("The next longer one is {next}."));
            return None;
        }
        Some(us)
    });
    let empty_node = spec.take("empty");
    let empty = empty_node.map_or(Some(Empty::Ignore), |node| match node.text() {
        Some("ignore") => Some(Empty::Ignore),
        Some("good") => Some(Empty::Good),
        Some("bad") => Some(Empty::Bad),
        _ => {
            let remedy = "A slice without events does not count, is good, or is bad.";
            reader.wrong(node, &format!("{path}.empty"), "`ignore`, `good` or `bad`", remedy);
            None
        }
    });
    let found: Vec<(&str, &Node)> = RULES.iter().filter_map(|name| Some((*name, spec.take(name)?))).collect();
    let [(name, node)] = found[..] else {
        let expected = format!("one of {}", listed(RULES));
        let what = if found.is_empty() { "no way to judge a slice" } else { "several ways to judge a slice" };
        reader.mistake(spec.place(), &path, what, &expected, "docs/definitions.md has an example of each.");
        return None;
    };
    if let Some(node) = empty_node.filter(|_| name == "traffic") {
        let remedy = "Remove it: a slice without events has a rate of 0 per second, and the bounds judge that.";
        reader.wrong(node, &format!("{path}.empty"), "no such key beside `traffic`", remedy);
    }
    let rule = rule(reader, name, node, &format!("{path}.{name}"), kind);
    Some(Measure::Slice { slice: Slice { length_us: length_us?, empty: empty? }, rule: rule? })
}

fn rule(reader: &mut Reader<'_>, name: &str, node: &Node, path: &str, kind: Option<Kind>) -> Option<Rule> {
    let mut map = Map::of(reader, node, path)?;
    match name {
        "percentile" => {
            only_of(reader, node, path, kind, Kind::Request, "a latency");
            let quantile = map.need(reader, "quantile", "a decimal such as 0.99").and_then(|node| {
                let quantile = node.text().and_then(share);
                if quantile.is_none() {
                    let expected = "a decimal above 0 and up to 1, with at most 9 places";
                    reader.wrong(node, &format!("{path}.quantile"), expected, "The 99th percentile is 0.99.");
                }
                quantile
            });
            let at_most = map.need(reader, "atMostUs", "microseconds");
            let at_most_us = at_most.and_then(|node| micros(reader, node, &format!("{path}.atMostUs")));
            map.finish(reader, &["quantile", "atMostUs"]);
            Some(Rule::Percentile { quantile: quantile?, at_most_us: at_most_us? })
        }
        "mean" => {
            valued(reader, node, path, kind);
            let bounds = bounds(reader, &mut map, "atLeast", "atMost");
            map.finish(reader, &["atLeast", "atMost"]);
            bounds.map(Rule::Mean)
        }
        "traffic" => {
            let bounds = bounds(reader, &mut map, "atLeastPerSec", "atMostPerSec");
            map.finish(reader, &["atLeastPerSec", "atMostPerSec"]);
            bounds.map(Rule::Traffic)
        }
        "saturation" => {
            only_of(reader, node, path, kind, Kind::Resource, "samples of a resource");
            let aggregate = map.take("aggregate").map_or(Some(Aggregate::Mean), |node| {
                let text = node.text().unwrap_or_default();
                let quantile = || {
                    let percent = text.strip_prefix('p').filter(|digits| (1..=2).contains(&digits.len()))?;
                    let percent: u64 = percent.parse().ok().filter(|percent| *percent > 0)?;
                    Some(Aggregate::Quantile(crate::model::Share { numerator: percent, denominator: 100 }))
                };
                let aggregate = match text {
                    "mean" => Some(Aggregate::Mean),
                    "min" => Some(Aggregate::Min),
                    "max" => Some(Aggregate::Max),
                    "last" => Some(Aggregate::Last),
                    _ => quantile(),
                };
                if aggregate.is_none() {
                    let expected = "`mean`, `min`, `max`, `last`, or a percentile such as `p95`";
                    reader.wrong(node, &format!("{path}.aggregate"), expected, "`mean` is the default.");
                }
                aggregate
            });
            let bounds = bounds(reader, &mut map, "atLeast", "atMost");
            map.finish(reader, &["aggregate", "atLeast", "atMost"]);
            Some(Rule::Saturation { aggregate: aggregate?, bounds: bounds? })
        }
        _ => {
            let at_most = map.need(reader, "atMost", "a duration such as 10m");
            let at_most_us = at_most.and_then(|node| duration(reader, node, &format!("{path}.atMost")));
            map.finish(reader, &["atMost"]);
            Some(Rule::Freshness { at_most_us: at_most_us? })
        }
    }
}

/// Requests carry no value to take the mean of.
fn valued(reader: &mut Reader<'_>, node: &Node, path: &str, kind: Option<Kind>) {
    if kind == Some(Kind::Request) {
        let expected = "a topic of score or resource events, since only those have a value";
        reader.wrong(node, path, expected, "Measure another topic, or judge latency by `percentile`.");
    }
}

fn duration(reader: &mut Reader<'_>, node: &Node, path: &str) -> Option<i64> {
    let found = duration_us(node.text().unwrap_or_default());
    if found.is_err() {
        let remedy = "Write a whole number and a unit: 10s, 5m, 1h, 1d.";
        reader.wrong(node, path, "a duration from 1ms to 3660d", remedy);
    }
    found.ok()
}

fn bounds(reader: &mut Reader<'_>, map: &mut Map<'_>, least: &str, most: &str) -> Option<Bounds> {
    let mut decimal = |key: &str| {
        let Some(node) = map.take(key) else { return Some(None) };
        let value = node.text().and_then(millionths);
        if value.is_none() {
            let expected = "a decimal with at most 6 places, from -35184372 to 35184372";
            reader.wrong(node, &map.path_of(key), expected, "Such as 0.85; use a larger unit for larger numbers.");
        }
        value.map(Some)
    };
    let (at_least, at_most) = (decimal(least), decimal(most));
    let (at_least, at_most) = (at_least?, at_most?);
    let place = map.place();
    match (at_least, at_most) {
        (None, None) => {
            let remedy = format!("Add `{least}:`, `{most}:` or both.");
            reader.mistake(place, &map.path, &format!("neither `{least}` nor `{most}`"), "a bound", &remedy);
            None
        }
        (Some(at_least), Some(at_most)) if at_least > at_most => {
            let found = format!("`{least}` above `{most}`");
            reader.mistake(place, &map.path, &found, "a range that holds something", "Exchange them.");
            None
        }
        _ => Some(Bounds { at_least, at_most }),
    }
}
