//! What every document begins with: version, kind, and the block with its name.

use super::{API_VERSION, GOLDEN_NAMES, KINDS};
use crate::mistake::{Map, Reader, closest, listed, text_of};
use crate::yaml::{Node, Place};

/// Annotations of this prefix are ours; those of others are for other tools.
const PREFIX: &str = "streamgauge.io/";
pub(super) const SHORT_WINDOW: &str = "streamgauge.io/short-window";
pub(super) const CLEARS_AT: &str = "streamgauge.io/clears-at";

pub(super) struct Metadata<'n> {
    pub name: String,
    pub display_name: Option<String>,
    /// The label of that name, of services alone.
    pub owner: Option<String>,
    pub place: Place,
    /// Ours alone.
    annotations: Vec<(&'n str, &'n Node)>,
    /// Where annotations stand.
    path: String,
}

impl<'n> Metadata<'n> {
    /// The value of an annotation, and where it stands.
    pub fn annotation(&self, key: &str) -> Option<(&'n Node, String)> {
        let (_, node) = self.annotations.iter().find(|(name, _)| *name == key)?;
        Some((node, format!("{}.{key}", self.path)))
    }
}

/// Kind and metadata; `reader` names the document from then on.
pub(super) fn head<'n>(reader: &mut Reader<'_>, map: &mut Map<'n>) -> Option<(String, Metadata<'n>)> {
    let node = map.need(reader, "apiVersion", &format!("`{API_VERSION}`"));
    version(reader, node, "apiVersion");
    let kinds = format!("one of {}", listed(KINDS));
    let kind_node = map.need(reader, "kind", &kinds);
    let kind = kind_node.and_then(Node::text).filter(|kind| KINDS.contains(kind));
    if let (Some(node), None) = (kind_node, kind) {
        reader.wrong(node, "kind", &kinds, "Remove the document, or keep it where streamgauge does not read it.");
    }
    let metadata = metadata(reader, map, kind);
    let (kind, metadata) = (kind?.to_owned(), metadata?);
    reader.document = format!("{kind}/{}", metadata.name);
    Some((kind, metadata))
}

/// The head of a document that stands inside of another one.
pub(super) fn inline_head<'n>(reader: &mut Reader<'_>, map: &mut Map<'n>, kind: &str) -> Option<Metadata<'n>> {
    let node = map.take("apiVersion");
    version(reader, node, &map.path_of("apiVersion"));
    let node = map.need(reader, "kind", &format!("`{kind}`"));
    if let Some(node) = node.filter(|node| node.text() != Some(kind)) {
        reader.wrong(node, &map.path_of("kind"), &format!("`{kind}`"), "Documents of other kinds have no place here.");
        return None;
    }
    metadata(reader, map, Some(kind))
}

fn version(reader: &mut Reader<'_>, node: Option<&Node>, path: &str) {
    if let Some(node) = node.filter(|node| node.text() != Some(API_VERSION)) {
        reader.wrong(node, path, &format!("`{API_VERSION}`"), "Other versions of OpenSLO are not supported.");
    }
}

fn metadata<'n>(reader: &mut Reader<'_>, map: &mut Map<'n>, kind: Option<&str>) -> Option<Metadata<'n>> {
    let mut metadata = map.need_map(reader, "metadata", "a block with the name")?;
    let node = metadata.need(reader, "name", "a name");
    let display_name = metadata.text(reader, "displayName", "a text").map(str::to_owned);
    let labels_path = metadata.path_of("labels");
    let labels = metadata.take("labels").filter(|_| kind == Some("Service"));
    let owner = labels.and_then(|node| owner(reader, node, &labels_path));
    let place = metadata.place();
    let path = metadata.path_of("annotations");
    let annotations = metadata.take("annotations").map(|node| annotations(reader, node, &path, kind));
    let name_path = metadata.path_of("name");
    metadata.finish(reader, &["name", "displayName", "labels", "annotations"]);
    let name = checked_name(reader, node?, &name_path)?;
    Some(Metadata { name, display_name, owner, place, annotations: annotations.unwrap_or_default(), path })
}

/// Other labels are for other tools.
fn owner(reader: &mut Reader<'_>, node: &Node, path: &str) -> Option<String> {
    let mut labels = Map::of(reader, node, path)?;
    labels.text(reader, "owner", "a name: one owner answers").map(str::to_owned)
}

fn annotations<'n>(
    reader: &mut Reader<'_>,
    node: &'n Node,
    path: &str,
    kind: Option<&str>,
) -> Vec<(&'n str, &'n Node)> {
    let known: &[&str] = match kind {
        Some("AlertCondition") => &[SHORT_WINDOW, CLEARS_AT],
        _ => &[],
    };
    let Some(mut map) = Map::of(reader, node, path) else { return Vec::new() };
    let mut ours = Vec::new();
    for (key, value) in map.rest() {
        let Some(name) = key.text().filter(|name| name.starts_with(PREFIX)) else { continue };
        if known.contains(&name) {
            ours.push((name, value));
        } else if kind.is_some() {
            let expected = match known {
                [] => format!("no annotation that begins with {PREFIX} in a document of this kind"),
                _ => format!("of those that begin with {PREFIX} one of {}", listed(known.iter().copied())),
            };
            let remedy = match closest(name, known.iter().copied()) {
                Some(meant) => format!("Did you mean `{meant}`?"),
                None => "Remove it: what can't be honoured is refused, never ignored.".to_owned(),
            };
            reader.mistake(key.place, path, &format!("the unknown annotation {}", key.shown()), &expected, &remedy);
        }
    }
    ours
}

fn checked_name(reader: &mut Reader<'_>, node: &Node, path: &str) -> Option<String> {
    let name = text_of(reader, node, path, "a name")?;
    if GOLDEN_NAMES.contains(&name) {
        let remedy = "That name is taken by the golden signals: choose another one.";
        reader.wrong(node, path, "a name of its own", remedy);
        return None;
    }
    if name.is_empty() || name.len() > 128 || name.starts_with("__") || name.contains(char::is_control) {
        let expected = "1 to 128 bytes without control characters that don't begin with __";
        reader.wrong(node, path, expected, "Choose another name.");
        return None;
    }
    Some(name.to_owned())
}
