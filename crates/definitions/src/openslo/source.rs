//! `DataSource` documents: what a topic holds, and how it is written.

use std::collections::BTreeSet;

use streamgauge_decode::{AvroSchemas, Framing};
use streamgauge_events::Kind;

use super::{SOURCE_TYPE, SchemaFile, neither_or_both, source_type};
use crate::mistake::{Map, Reader, listed, text_of};
use crate::model::{DataSource, Format, WriterSchema};
use crate::scalar::whole_number;
use crate::yaml::{Content, Node, Place};

const REMEDY: &str = "docs/definitions.md shows each document as a whole.";

pub(super) fn source(
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
        // What is meant for another tool is not ours to judge.
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
            let id = node.text().and_then(whole_number).and_then(|id| u32::try_from(id).ok());
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
    if framing == Framing::SingleObject
        && reader.mistakes.len() == before
        && let Some(event) = event
    {
        let texts: Vec<(Option<u32>, &str)> = schemas.iter().map(|schema| (None, schema.schema.as_str())).collect();
        if let Err(error) = AvroSchemas::new(event, framing, &texts) {
            let found = format!("schemas that can't be used together ({error})");
            let remedy = "Names and types make a fingerprint; documentation, aliases and defaults don't.";
            reader.mistake(node.place, path, &found, "each fingerprint once", remedy);
        }
    }
    let ids: BTreeSet<Option<u32>> = schemas.iter().map(|schema| schema.id).collect();
    if framing == Framing::Confluent && ids.len() < schemas.len() {
        reader.wrong(node, path, "each id once", "One id names one schema.");
    }
    (reader.mistakes.len() == before).then(|| schemas.into_iter().collect())
}
