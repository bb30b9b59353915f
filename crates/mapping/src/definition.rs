//! A mapping file as it is written: names and types, unknown keys refused, every value with its line.
//!
//! Knows YAML. Must never know what a value means; `mapping` decides that.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_saphyr::{Error, Location, Options, Spanned};

use crate::invalid::{Invalid, closest, listed};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    #[serde(rename = "apiVersion")]
    _api_version: String,
    #[serde(rename = "kind")]
    _kind: String,
    #[serde(rename = "description")]
    _description: Option<String>,
    pub event: Spanned<String>,
    pub format: Spanned<String>,
    pub csv: Option<Spanned<CsvDefinition>>,
    pub pattern: Option<Spanned<String>>,
    pub unpivot: Option<Spanned<UnpivotDefinition>>,
    pub fields: Spanned<BTreeMap<FieldName, Spanned<FieldDefinition>>>,
    pub expand: Option<Spanned<ExpandDefinition>>,
}

/// The name of a field, with its place: which names there are depends on `event`.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub struct FieldName(pub Spanned<String>);

impl PartialEq for FieldName {
    fn eq(&self, other: &Self) -> bool {
        self.0.value == other.0.value
    }
}

impl Eq for FieldName {}

impl PartialOrd for FieldName {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for FieldName {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.value.cmp(&other.0.value)
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CsvDefinition {
    pub delimiter: Option<Spanned<String>>,
    pub header_rows: Option<u64>,
    pub name_rows: Option<Spanned<Vec<u64>>>,
    pub name_separator: Option<Spanned<String>>,
    pub columns: Option<Spanned<Vec<String>>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnpivotDefinition {
    pub pattern: Option<Spanned<String>>,
    pub columns: Option<Spanned<BTreeMap<String, Spanned<ColumnDefinition>>>>,
}

/// Parts by their names, and `scale`.
pub type ColumnDefinition = BTreeMap<String, Spanned<String>>;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FieldDefinition {
    pub column: Option<Spanned<String>>,
    pub pointer: Option<Spanned<String>>,
    pub group: Option<Spanned<String>>,
    pub cell: Option<Spanned<String>>,
    pub from: Option<Spanned<String>>,
    pub constant: Option<Spanned<String>>,
    pub extract: Option<Spanned<String>>,
    pub unit: Option<Spanned<String>>,
    pub scale: Option<Spanned<String>>,
    pub format: Option<Spanned<String>>,
    pub timezone: Option<Spanned<String>>,
    pub epoch_base: Option<Spanned<String>>,
    pub map: Option<Spanned<BTreeMap<String, Spanned<String>>>>,
    pub optional: Option<Spanned<bool>>,
    pub null_values: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpandDefinition {
    pub requests: Spanned<AmountDefinition>,
    pub good: Option<Spanned<AmountDefinition>>,
    pub good_ratio: Option<Spanned<AmountDefinition>>,
    pub spread: Spanned<String>,
    pub ts_is: Option<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AmountDefinition {
    pub column: Option<Spanned<String>>,
    pub pointer: Option<Spanned<String>>,
    pub group: Option<Spanned<String>>,
    pub cell: Option<Spanned<String>>,
    pub scale: Option<Spanned<String>>,
}

/// What every file of ours starts with. Read first, so that a file of another kind is called that.
#[derive(Deserialize)]
struct Head {
    #[serde(rename = "apiVersion")]
    api_version: Spanned<String>,
    kind: Spanned<String>,
}

pub const API_VERSION: &str = "streamgauge/v1";
pub const KIND: &str = "Mapping";
/// What a proposal says where the file doesn't begins with this: `FILL_IN_SERVICE`.
pub const PLACEHOLDER: &str = "FILL_IN";

pub fn parse(file: &str, text: &str) -> Result<Definition, Box<Invalid>> {
    let source = Source { file };
    let head: Head = yaml(&source, text)?;
    for (path, value, expected) in [("apiVersion", head.api_version, API_VERSION), ("kind", head.kind, KIND)] {
        if value.value != expected {
            let remedy =
                "Is this the right file? A mapping starts with `apiVersion: streamgauge/v1` and `kind: Mapping`.";
            return Err(source.invalid(&value, path, &format!("`{expected}`"), remedy));
        }
    }
    yaml(&source, text)
}

/// The file that mistakes are reported in.
#[derive(Clone, Copy, Debug)]
pub struct Source<'f> {
    pub file: &'f str,
}

impl Source<'_> {
    pub fn invalid(&self, value: &Spanned<String>, path: &str, expected: &str, remedy: &str) -> Box<Invalid> {
        self.invalid_at(value.referenced, path, &format!("`{}`", value.value), expected, remedy)
    }

    pub fn invalid_at(&self, at: Location, path: &str, found: &str, expected: &str, remedy: &str) -> Box<Invalid> {
        Box::new(Invalid {
            file: self.file.to_owned(),
            line: at.line(),
            column: at.column(),
            path: path.to_owned(),
            found: found.to_owned(),
            expected: expected.to_owned(),
            remedy: remedy.to_owned(),
        })
    }
}

fn yaml<'t, T: Deserialize<'t>>(source: &Source<'_>, text: &'t str) -> Result<T, Box<Invalid>> {
    let mut options = Options::default();
    options.strict_booleans = true;
    options.with_snippet = false;
    let mut path = String::new();
    serde_saphyr::with_deserializer_from_str_with_options(text, options, |yaml| {
        serde_path_to_error::deserialize(yaml).map_err(|error| {
            path = plain_path(&error.path().to_string());
            error.into_inner()
        })
    })
    .map_err(|error| explained(source, text, &path, &error))
}

/// Positions are carried by a wrapper with a field `value`; no key of ours has that name.
fn plain_path(path: &str) -> String {
    let parts: Vec<&str> = path.split('.').filter(|part| !matches!(*part, "value" | "?" | "")).collect();
    if parts.is_empty() { "the document".to_owned() } else { parts.join(".") }
}

/// What the YAML reader says, in the form that all our mistakes have.
fn explained(source: &Source<'_>, text: &str, path: &str, error: &Error) -> Box<Invalid> {
    let at = error.location().unwrap_or(Location::UNKNOWN);
    let message = error.without_snippet().to_string();
    let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(message, _)| message);
    let line = text.lines().nth((at.line() as usize).saturating_sub(1)).unwrap_or_default().trim();
    if let Some(name) = message.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`')) {
        let remedy = format!("Add `{name}:`.");
        return source.invalid_at(at, path, &format!("no key `{name}`"), "it to be there", &remedy);
    }
    for what in ["field", "variant"] {
        let unknown = message.strip_prefix(&format!("unknown {what} `"));
        let Some((name, known)) = unknown.and_then(|rest| rest.split_once("`, expected ")) else { continue };
        let known = known.trim_start_matches("one of ").replace('`', "");
        let known: Vec<&str> = known.split(", ").filter(|name| !name.starts_with('_')).collect();
        let remedy = match closest(name, known.iter().copied()) {
            Some(meant) => format!("Did you mean `{meant}`?"),
            None => "Remove it; docs/mappings.md describes every key.".to_owned(),
        };
        let expected = format!("one of {}", listed(known));
        return source.invalid_at(at, path, &format!("the unknown key `{name}`"), &expected, &remedy);
    }
    if let Some(key) = message.strip_prefix("duplicate mapping key: ") {
        let key = key.split_once(", ").map_or(key, |(key, _)| key);
        return source.invalid_at(at, path, &format!("the key `{key}` again"), "each key once", "Remove one of them.");
    }
    let message = match message {
        "expected mapping start" => "expected a block of keys",
        "expected string scalar" => "expected a single text",
        other => other,
    };
    let remedy = "docs/mappings.md shows every key with an example.";
    source.invalid_at(at, path, &format!("`{line}`"), &format!("valid YAML of the right type ({message})"), remedy)
}
