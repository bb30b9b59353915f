//! Settings that stages have in common: a YAML file, the environment, flags; the later wins.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::ArgMatches;
use clap::parser::ValueSource;
use serde::Deserialize;
use streamgauge_stage::settings::StartAt;

use crate::kafka_args::{PROPERTY_PREFIX, is_secret, properties_of_environment, properties_of_flags};

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// The oldest record that the log holds
    Earliest,
    /// Behind the newest record
    Latest,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Ordinal {
    Number(u32),
    Word(String),
}

/// Chooses between the layers, and writes down where each value came from.
pub struct Layers<'m> {
    pub matches: &'m ArgMatches,
    /// The configuration file, if there is one.
    pub file: String,
    pub origins: Vec<(&'static str, String, String)>,
}

impl Layers<'_> {
    pub fn choose<T>(
        &mut self,
        name: &'static str,
        args: Option<T>,
        file: Option<T>,
        default: T,
        show: impl Fn(&T) -> String,
    ) -> T {
        let (value, origin) = match (args, file) {
            (Some(value), _) => match self.matches.value_source(name) {
                Some(ValueSource::EnvVariable) => (value, format!("STREAMGAUGE_{}", name.to_uppercase())),
                _ => (value, format!("--{}", name.replace('_', "-"))),
            },
            (None, Some(value)) => (value, self.file.clone()),
            (None, None) => (default, "default".to_owned()),
        };
        self.origins.push((name, show(&value), origin));
        value
    }

    pub fn number(&mut self, name: &'static str, args: Option<u32>, file: Option<u32>, default: u32) -> u32 {
        self.choose(name, args, file, default, u32::to_string)
    }

    pub fn text(&mut self, name: &'static str, args: Option<String>, file: Option<String>, default: &str) -> String {
        self.choose(name, args, file, default.to_owned(), String::clone)
    }
}

pub fn ordinal(text: &str, only_printing: bool) -> anyhow::Result<u32> {
    let remedy = "give each instance of a group a number of its own: --ordinal 0, --ordinal 1, …, or --ordinal from-hostname in a StatefulSet";
    match text {
        "" if only_printing => Ok(0),
        "" => bail!("ordinal is not set: {remedy}"),
        "from-hostname" => {
            let host =
                std::env::var("HOSTNAME").or_else(|_| std::fs::read_to_string("/etc/hostname")).unwrap_or_default();
            let host = host.trim().to_owned();
            let number = host.rsplit_once('-').and_then(|(_, number)| number.parse().ok());
            number.with_context(|| format!("ordinal: the host name {host:?} does not end in - and a number; {remedy}"))
        }
        number => number.parse().map_err(|_| anyhow::anyhow!("ordinal is {number:?}, not a number; {remedy}")),
    }
}

pub fn parse_listen(text: &str) -> anyhow::Result<Option<SocketAddr>> {
    if text == "off" {
        return Ok(None);
    }
    text.parse()
        .map(Some)
        .map_err(|_| anyhow::anyhow!("listen is {text:?}; expected an address such as 127.0.0.1:9464, or off"))
}

pub fn properties(
    layers: &mut Layers<'_>,
    mut properties: BTreeMap<String, String>,
    flags: &[String],
) -> anyhow::Result<BTreeMap<String, String>> {
    let mut origins: BTreeMap<String, String> =
        properties.keys().map(|key| (key.clone(), layers.file.clone())).collect();
    for (key, value, variable) in properties_of_environment() {
        origins.insert(key.clone(), variable);
        properties.insert(key, value);
    }
    for (key, value) in properties_of_flags(flags)? {
        origins.insert(key.clone(), "-X".to_owned());
        properties.insert(key, value);
    }
    for (key, value) in &properties {
        let shown = if is_secret(key) { "set (not shown)".to_owned() } else { value.clone() };
        let origin = origins.get(key).cloned().unwrap_or_default();
        layers.origins.push(("kafka_property", format!("{key}={shown}"), origin));
    }
    Ok(properties)
}

/// One line a setting: name, value, origin. Secrets are not among them.
pub fn describe(origins: &[(&'static str, String, String)]) -> String {
    let width = |index: usize| {
        let lengths = origins.iter().map(|row| [row.0.len(), row.1.len()][index]);
        lengths.max().unwrap_or(0)
    };
    let (names, values) = (width(0), width(1).min(48));
    let mut text = String::new();
    for (name, value, origin) in origins {
        let _ = writeln!(text, "{name:names$}  {value:values$}  {origin}");
    }
    text.trim_end().to_owned()
}

/// Reads a configuration file. Secrets do not belong there.
pub fn read_file<F: serde::de::DeserializeOwned>(
    path: &Path,
    kafka_properties: impl Fn(&F) -> &BTreeMap<String, String>,
) -> anyhow::Result<F> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).with_context(|| format!("couldn't read the configuration {shown}"))?;
    let file: F = serde_saphyr::from_str(&text).map_err(|error| anyhow::anyhow!("{shown}: {error}"))?;
    for key in kafka_properties(&file).keys() {
        if is_secret(key) {
            let variable = format!("{PROPERTY_PREFIX}{}", key.replace('.', "_").to_uppercase());
            bail!(
                "{shown}: kafka_properties.{key} is a secret and does not belong into a file: set {variable} instead"
            );
        }
    }
    Ok(file)
}

impl Start {
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Earliest => "earliest",
            Self::Latest => "latest",
        }
    }

    pub const fn at(self) -> StartAt {
        match self {
            Self::Earliest => StartAt::Earliest,
            Self::Latest => StartAt::Latest,
        }
    }
}

impl Ordinal {
    pub fn into_text(self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Word(word) => word,
        }
    }
}

/// Paths with commas between them.
pub fn show_paths(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(",")
}
