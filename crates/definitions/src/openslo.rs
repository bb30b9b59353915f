//! Documents of OpenSLO v1 → definitions, with every mistake of all files at once.

mod alerts;
mod condition;
mod head;
mod measure;
mod severity;
mod sli;
mod slo;
mod source;
mod target;
mod warnings;
mod window;

use std::collections::BTreeSet;
use std::collections::btree_map::Entry;

use streamgauge_events::topics;

use crate::mistake::{Map, Mistake, Reader, closest, listed, text_of};
use crate::model::{Definitions, Service};
use crate::objective::Slo;
use crate::scalar::{duration_text, duration_us, whole_number};
use crate::yaml::{self, Content, Node, Place};
use alerts::{Alerts, policy};
use condition::condition;
use head::{Metadata, head};
use sli::sli;
use slo::slo;
use source::source;
use target::notification_target;

const API_VERSION: &str = "openslo/v1";
const SOURCE_TYPE: &str = "streamgauge";
/// Slices and windows hold whole panes of this length; other lengths of panes are checked where they are set.
const PANE_US: i64 = 10_000_000;
/// In the order in which they are read: each kind refers to those before it.
const KINDS: [&str; 7] =
    ["Service", "DataSource", "SLI", "AlertNotificationTarget", "AlertCondition", "AlertPolicy", "SLO"];

/// The SLIs that every topic has without a definition.
pub const GOLDEN_NAMES: [&str; 3] = [topics::REQUESTS, topics::SCORES, topics::RESOURCES];

/// SLIs of one stage.
const SLIS_MAX: usize = 2_000;
/// Kafka takes records of 1 MiB by default, and this one has some settings more.
const BYTES_MAX: usize = 900_000;

/// Reads the schema file that a definition file names: (definition file, name) → text, or why not.
pub type SchemaFile<'r> = &'r dyn Fn(&str, &str) -> Result<String, String>;

/// What a set of files says.
#[derive(Clone, Debug)]
pub struct Checked {
    pub definitions: Result<Definitions, Vec<Mistake>>,
    /// What is allowed, and probably not meant, where that can be told; in order.
    pub warnings: Vec<Mistake>,
}

impl Definitions {
    /// All files together: (name, text).
    pub fn read<'t>(
        files: impl IntoIterator<Item = (&'t str, &'t str)>,
        schema_file: SchemaFile<'_>,
    ) -> Result<Self, Vec<Mistake>> {
        Self::check(files, schema_file).definitions
    }

    /// As [`Self::read`], with the warnings.
    pub fn check<'t>(files: impl IntoIterator<Item = (&'t str, &'t str)>, schema_file: SchemaFile<'_>) -> Checked {
        let mut all = Reading {
            definitions: Self::default(),
            mistakes: Vec::new(),
            warnings: Vec::new(),
            alerts: Alerts::default(),
            waiting: Vec::new(),
            broken: BTreeSet::new(),
            has_unnamed: false,
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
    alerts: Alerts,
    mistakes: Vec<Mistake>,
    warnings: Vec<Mistake>,
    /// Documents that refer to others wait until all of those are known.
    waiting: Vec<Waiting>,
    /// What is there, but wrong, as `kind/name`: whoever refers to it makes no mistake by that.
    broken: BTreeSet<String>,
    /// A document may be any of those that are referred to, since its name or kind can't be read.
    has_unnamed: bool,
    schema_file: SchemaFile<'r>,
}

struct Waiting {
    file: String,
    kind: String,
    name: String,
    node: Node,
}

/// What documents may refer to.
struct Known<'k> {
    definitions: &'k Definitions,
    broken: &'k BTreeSet<String>,
    has_unnamed: bool,
}

impl Known<'_> {
    /// Whether a document that declares this stands there, but can't be read. What is nearly one of the `declared` names
    /// is more probably a slip of the pen.
    fn may_be_broken<'d>(&self, kind: &str, name: &str, declared: impl IntoIterator<Item = &'d str>) -> bool {
        self.broken.contains(&format!("{kind}/{name}")) || (self.has_unnamed && closest(name, declared).is_none())
    }
}

impl Reading<'_> {
    fn file(&mut self, file: &str, text: &str) {
        let (documents, error) = yaml::documents(text);
        for document in documents {
            self.document(file, document);
        }
        if let Some(error) = error {
            let (mistakes, warnings) = (&mut self.mistakes, &mut self.warnings);
            let mut reader = Reader { file, document: String::new(), mistakes, warnings };
            let remedy = "Look at the indentation and the quotes there and just above.";
            reader.mistake(error.place, "", &format!("a mistake of syntax ({})", error.message), "valid YAML", remedy);
        }
    }

    fn document(&mut self, file: &str, node: Node) {
        let Self { definitions, mistakes, warnings, broken, has_unnamed, .. } = self;
        let mut reader = Reader { file, document: String::new(), mistakes, warnings };
        let Some(mut map) = Map::of(&mut reader, &node, "") else { return };
        let Some((kind, metadata)) = head(&mut reader, &mut map) else {
            *has_unnamed = true;
            return;
        };
        let name = metadata.name.clone();
        match kind.as_str() {
            "Service" => {
                let Some(service) = service(&mut reader, map, metadata) else {
                    broken.insert(reader.document);
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
                    broken.insert(reader.document);
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
                if self.waiting.iter().any(|known| (&known.kind, &known.name) == (&kind, &name)) {
                    twice(&mut reader, node.place);
                } else {
                    self.waiting.push(Waiting { file: file.to_owned(), kind, name, node });
                }
            }
        }
    }

    fn finish(mut self) -> Checked {
        let mut waiting = std::mem::take(&mut self.waiting);
        waiting.sort_by_key(|waiting| KINDS.iter().position(|kind| *kind == waiting.kind));
        for waiting in waiting {
            if self.referring(&waiting).is_none() {
                self.broken.insert(format!("{}/{}", waiting.kind, waiting.name));
            }
        }
        let Self { mut definitions, alerts, mut mistakes, mut warnings, .. } = self;
        definitions.notification_targets = alerts.targets;
        if mistakes.is_empty() {
            mistakes.extend(too_large(&definitions));
        }
        mistakes.sort();
        warnings.sort();
        Checked { definitions: if mistakes.is_empty() { Ok(definitions) } else { Err(mistakes) }, warnings }
    }

    /// A document that may refer to others; `None` where it is wrong.
    fn referring(&mut self, Waiting { file, kind, name, node }: &Waiting) -> Option<()> {
        let (map, metadata) = behind_the_head(file, node)?;
        let (mistakes, warnings) = (&mut self.mistakes, &mut self.warnings);
        let mut reader = Reader { file, document: format!("{kind}/{name}"), mistakes, warnings };
        let known = Known { definitions: &self.definitions, broken: &self.broken, has_unnamed: self.has_unnamed };
        let alerts = &mut self.alerts;
        match kind.as_str() {
            "SLI" => {
                let sli = sli(&mut reader, map, &known)?;
                self.definitions.slis.insert(name.clone(), sli);
            }
            "AlertNotificationTarget" => {
                let target = notification_target(&mut reader, map, &metadata)?;
                alerts.targets.insert(name.clone(), target);
            }
            "AlertCondition" => {
                let condition = condition(&mut reader, map, &metadata)?;
                alerts.conditions.insert(name.clone(), condition);
            }
            "AlertPolicy" => {
                let rule = policy(&mut reader, map, &metadata, alerts, &known)?;
                alerts.policies.insert(name.clone(), rule);
            }
            _ => {
                let slo = slo(&mut reader, map, alerts, &known)?;
                self.definitions.slos.insert(name.clone(), Slo { display_name: metadata.display_name, ..slo });
            }
        }
        Some(())
    }
}

/// What stands behind the head of a document. The head was read before: what is wrong there is known.
fn behind_the_head<'n>(file: &str, node: &'n Node) -> Option<(Map<'n>, Metadata<'n>)> {
    let (mut known, mut warnings) = (Vec::new(), Vec::new());
    let mut reader = Reader { file, document: String::new(), mistakes: &mut known, warnings: &mut warnings };
    let mut map = Map::of(&mut reader, node, "")?;
    let (_, metadata) = head(&mut reader, &mut map)?;
    Some((map, metadata))
}

/// Definitions are one record in the log, and every event looks them up.
fn too_large(definitions: &Definitions) -> Option<Mistake> {
    let bytes = serde_json::to_vec(definitions).map_or(0, |json| json.len());
    let (found, expected) = match definitions.slis.len() {
        count if count > SLIS_MAX => (format!("{count} SLIs"), format!("at most {SLIS_MAX}")),
        _ if bytes > BYTES_MAX => (format!("{bytes} bytes as JSON"), format!("at most {BYTES_MAX}")),
        _ => return None,
    };
    Some(Mistake {
        file: "all files".to_owned(),
        line: 1,
        column: 1,
        path: "the definitions".to_owned(),
        found,
        expected,
        remedy: "Define what somebody looks at.".to_owned(),
    })
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

// ---- Service

fn service(reader: &mut Reader<'_>, mut map: Map<'_>, metadata: Metadata<'_>) -> Option<Service> {
    let Metadata { display_name, owner, place, .. } = metadata;
    if owner.is_none() {
        let remedy = "Add `labels: { owner: NAME }`.";
        reader.warning(place, "metadata.labels.owner", "no owner", "who is asked when it fails", remedy);
    }
    let mut spec = map.need_map(reader, "spec", "a block of keys; `{}` if there is nothing to say")?;
    let description = spec.text(reader, "description", "a text").map(str::to_owned);
    spec.finish(reader, &["description"]);
    map.finish(reader, &["apiVersion", "kind", "metadata", "spec"]);
    Some(Service { display_name, description, owner })
}

// ---- what documents have in common

fn source_type(reader: &mut Reader<'_>, found: Option<&Node>, path: &str) {
    if let Some(node) = found.filter(|node| node.text() != Some(SOURCE_TYPE)) {
        let remedy = "Other types are for other tools; keep their documents where streamgauge does not read them.";
        reader.wrong(node, path, &format!("`{SOURCE_TYPE}`"), remedy);
    }
}

/// The name of a document of that kind; `None`, with a mistake, if there is none.
fn reference<'n>(
    reader: &mut Reader<'_>,
    node: &'n Node,
    path: &str,
    kind: &str,
    declared: &[&str],
    known: &Known<'_>,
) -> Option<&'n str> {
    let name = text_of(reader, node, path, &format!("the name of a document of kind {kind}"))?;
    if declared.contains(&name) {
        return Some(name);
    }
    let names = || declared.iter().copied();
    if !known.may_be_broken(kind, name, names()) {
        let expected = match declared {
            [] => format!("the name of a document of kind {kind}, of which there is none"),
            _ => format!("the name of a document of kind {kind}: {}", listed(names())),
        };
        let remedy = match closest(name, names()) {
            Some(meant) => format!("Did you mean `{meant}`?"),
            None => format!("Add a document with `kind: {kind}` and metadata.name {name}."),
        };
        reader.wrong(node, path, &expected, &remedy);
    }
    None
}

/// OpenSLO writes some things as lists that hold one.
fn only<'n>(reader: &mut Reader<'_>, node: &'n Node, path: &str, remedy: &str) -> Option<&'n Node> {
    match list(reader, node, path, "a list of one")? {
        [item] => Some(item),
        items => {
            let found = format!("a list of {}", items.len());
            reader.mistake(node.place, path, &found, "a list of one", remedy);
            None
        }
    }
}

fn list<'n>(reader: &mut Reader<'_>, node: &'n Node, path: &str, expected: &str) -> Option<&'n [Node]> {
    if let Content::List(items) = &node.content {
        return Some(items);
    }
    reader.wrong(node, path, expected, "Write `- ` before its first key.");
    None
}

fn flag(reader: &mut Reader<'_>, node: &Node, path: &str, remedy: &str) -> Option<bool> {
    let flag = match node.text() {
        Some("true") => Some(true),
        Some("false") => Some(false),
        _ => None,
    };
    if flag.is_none() {
        reader.wrong(node, path, "`true` or `false`", remedy);
    }
    flag
}

/// A duration, which may also count weeks, as OpenSLO has them.
fn whole_panes(reader: &mut Reader<'_>, node: &Node, path: &str, remedy: &str) -> Option<i64> {
    const WEEK_US: i64 = 7 * 86_400_000_000;
    let text = node.text().unwrap_or_default();
    let weeks = text.strip_suffix('w').and_then(whole_number).filter(|weeks| (1..=500).contains(weeks));
    let found = weeks.map_or_else(|| duration_us(text).ok(), |weeks| Some(weeks as i64 * WEEK_US));
    let found = found.filter(|us| us % PANE_US == 0);
    if found.is_none() {
        let expected = format!("a duration of whole panes ({}), up to 3660d", duration_text(PANE_US));
        reader.wrong(node, path, &expected, remedy);
    }
    found
}

/// Of two keys one was expected: `both` tells which mistake was made.
fn neither_or_both(both: bool, one: &str, other: &str) -> String {
    if both { format!("both {one} and {other}") } else { format!("neither {one} nor {other}") }
}
