//! The stage as the worker holds it: definitions, and what the state topic knows of earlier ones.

use std::collections::BTreeSet;
use std::sync::Arc;

use streamgauge_decode::{AvroSchemas, SchemaKey};
use streamgauge_definitions::{Bundle, DataSource, Format, WriterSchema, duration_text};
use streamgauge_events::topics;
use streamgauge_stage::outbox::OUTPUT_BYTES_MAX;
use streamgauge_stage::{Counting, Halt, Output, Placement, TimeSettings};

use crate::cells::{Input, SliCells, WriterSchemas};
use crate::plan::{Bundles, Compiled};

pub struct SliStage {
    inputs: Vec<String>,
    /// What the definitions call each input, and what it holds.
    sources: Vec<(String, DataSource)>,
    time: TimeSettings,
    hash: String,
    json: Vec<u8>,
    bundles: Bundles,
    /// Bundles that the state topic holds.
    saved: BTreeSet<String>,
}

const KEY_PREFIX: &str = "bundle/";

impl SliStage {
    /// Reads the topics of the definitions, and `requests`, which is called `input` on the bus.
    pub fn new(input: impl Into<String>, time: TimeSettings, bundle: &Bundle) -> Result<Self, Halt> {
        let compiled = Compiled::of(bundle).map_err(Halt::Definitions)?;
        check_slices(bundle, time)?;
        let hash = compiled.hash.clone();
        let json = bundle.to_json();
        if json.len() > OUTPUT_BYTES_MAX {
            let message = format!("{} bytes together, {} fit into a record", json.len(), OUTPUT_BYTES_MAX);
            return Err(Halt::Definitions(message));
        }
        let mut inputs = vec![input.into()];
        let mut names = vec![topics::REQUESTS.to_owned()];
        for topic in bundle.definitions.topics() {
            if topic != topics::REQUESTS {
                if inputs.contains(&topic) {
                    let message = format!("topic {topic} stands for requests, and definitions describe it too");
                    return Err(Halt::Definitions(message));
                }
                names.push(topic.clone());
                inputs.push(topic);
            }
        }
        let source = |name: String| {
            let source = bundle.definitions.source(&name);
            source.map(|source| (name.clone(), source)).ok_or(Halt::Definitions(format!("no source for {name}")))
        };
        let sources = names.into_iter().map(source).collect::<Result<_, _>>()?;
        let bundles = Bundles::from([(hash.clone(), Arc::new(compiled))]);
        Ok(Self { inputs, sources, time, hash, json, bundles, saved: BTreeSet::new() })
    }

    /// Leaves the topic of requests alone: fails if a definition is about it, or if nothing would be left to read.
    pub fn without_requests(mut self) -> Result<Self, Halt> {
        let plan = self.bundles[&self.hash].plan(topics::REQUESTS, self.sources[0].1.event);
        if let Some(sli) = plan.slis.first() {
            return Err(Halt::Definitions(format!("SLI {} measures requests, which are not to be read", sli.name)));
        }
        if self.inputs.len() == 1 {
            return Err(Halt::Definitions("neither requests nor any other topic is to be read".to_owned()));
        }
        self.inputs.remove(0);
        self.sources.remove(0);
        Ok(self)
    }

    /// Reads this topic as well: one that is known without a definition, or that the definitions describe.
    pub fn also_reading(mut self, topic: &str) -> Result<Self, Halt> {
        if self.topic_index(topic).is_none() {
            let described = self.bundles[&self.hash].sources.get(topic).cloned();
            let source = described.or_else(|| DataSource::built_in(topic));
            let source = source.ok_or_else(|| Halt::Definitions(format!("no source for {topic}")))?;
            self.inputs.push(topic.to_owned());
            self.sources.push((topic.to_owned(), source));
        }
        Ok(self)
    }

    /// The index among the inputs of what the definitions call so.
    pub fn topic_index(&self, topic: &str) -> Option<u16> {
        self.sources.iter().position(|(name, _)| name == topic).map(|index| index as u16)
    }

    /// Writer schemas of every known bundle, and the text of each key; where two bundles disagree about an id, or about
    /// what a fingerprint leaves out (documentation, aliases), that of the one started with.
    fn schemas(&self, topic: &str, source: &DataSource) -> Option<WriterSchemas> {
        let Format::Avro { framing, .. } = &source.format else { return None };
        let mut union: Option<WriterSchemas> = None;
        let earlier = self.bundles.iter().filter(|(hash, _)| **hash != self.hash).map(|(_, bundle)| bundle);
        for bundle in earlier.chain([&self.bundles[&self.hash]]) {
            let Some(DataSource { format: Format::Avro { schemas, .. }, .. }) = bundle.sources.get(topic) else {
                continue;
            };
            for WriterSchema { id, schema } in schemas {
                // A schema of another kind or framing can't be read: nor can a partition that needs it go on.
                let Ok(one) = AvroSchemas::new(source.event, *framing, &[(*id, schema)]) else { continue };
                let texts: Vec<(SchemaKey, String)> = one.keys().map(|key| (key, schema.clone())).collect();
                match &mut union {
                    None => union = Some(WriterSchemas { schemas: one, texts: texts.into_iter().collect() }),
                    Some(union) => {
                        union.schemas.merge(one);
                        union.texts.extend(texts);
                    }
                }
            }
        }
        union
    }
}

/// A slice holds whole panes.
fn check_slices(bundle: &Bundle, time: TimeSettings) -> Result<(), Halt> {
    for (name, sli) in &bundle.definitions.slis {
        if let Some(slice) = sli.good.slice().filter(|slice| slice.length_us % time.pane_us != 0) {
            let (slice, pane) = (duration_text(slice.length_us), duration_text(time.pane_us));
            let message = format!("SLI {name}: a slice of {slice} is not a multiple of the pane, which is {pane}");
            return Err(Halt::Definitions(message));
        }
    }
    Ok(())
}

impl Counting for SliStage {
    type Cells = SliCells;

    fn inputs(&self) -> &[String] {
        &self.inputs
    }

    fn time(&self) -> TimeSettings {
        self.time
    }

    fn bundle(&self) -> &str {
        &self.hash
    }

    /// Records that are no bundle, or whose bundle this version can't compile, are left aside: should a partition need
    /// one of them, it halts and says so.
    fn learn(&mut self, key: &[u8], value: &[u8]) {
        let Some(hash) = std::str::from_utf8(key).ok().and_then(|key| key.strip_prefix(KEY_PREFIX)) else { return };
        self.saved.insert(hash.to_owned());
        if self.bundles.contains_key(hash) {
            return;
        }
        let bundle = serde_json::from_slice::<Bundle>(value).ok().and_then(|bundle| Compiled::of(&bundle).ok());
        if let Some(compiled) = bundle.filter(|compiled| compiled.hash == hash) {
            self.bundles.insert(hash.to_owned(), Arc::new(compiled));
        }
    }

    fn unsaved(&self) -> Vec<Output> {
        if self.saved.contains(&self.hash) {
            return Vec::new();
        }
        vec![Output {
            topic: topics::SLI_STATE,
            key: format!("{KEY_PREFIX}{}", self.hash).into_bytes(),
            placement: Placement::ByKey,
            value: self.json.clone(),
        }]
    }

    fn cells(&self, topic: u16) -> SliCells {
        let (name, source) = &self.sources[usize::from(topic)];
        let schemas = self.schemas(name, source);
        let input = Input { topic: name.clone(), source: source.clone(), schemas };
        SliCells::new(input, self.time.pane_us, self.bundles.clone())
    }
}
