//! The stage as the worker holds it: definitions, and what the state topic knows of earlier ones.

use std::collections::BTreeSet;
use std::sync::Arc;

use streamgauge_events::topics;
use streamgauge_stage::outbox::OUTPUT_BYTES_MAX;
use streamgauge_stage::{Halt, Output, Placement, Stage, TimeSettings};

use crate::bundle::{Bundle, Bundles};
use crate::cells::SliCells;

pub struct SliStage {
    inputs: Vec<String>,
    time: TimeSettings,
    hash: String,
    json: Vec<u8>,
    bundles: Bundles,
    /// Bundles that the state topic holds.
    saved: BTreeSet<String>,
}

const KEY_PREFIX: &str = "bundle/";

impl SliStage {
    /// Reads `requests` from a topic of any name.
    pub fn new(input: impl Into<String>, time: TimeSettings, bundle: &Bundle) -> Result<Self, Halt> {
        let compiled = bundle.compile().map_err(Halt::Definitions)?;
        let hash = compiled.hash.clone();
        let json = bundle.to_json();
        if json.len() > OUTPUT_BYTES_MAX {
            let message = format!("{} bytes together, {} fit into a record", json.len(), OUTPUT_BYTES_MAX);
            return Err(Halt::Definitions(message));
        }
        let bundles = Bundles::from([(hash.clone(), Arc::new(compiled))]);
        Ok(Self { inputs: vec![input.into()], time, hash, json, bundles, saved: BTreeSet::new() })
    }
}

impl Stage for SliStage {
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
        let bundle = serde_json::from_slice::<Bundle>(value).ok().and_then(|bundle| bundle.compile().ok());
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

    fn cells(&self) -> SliCells {
        SliCells::new(self.bundles.clone())
    }
}
