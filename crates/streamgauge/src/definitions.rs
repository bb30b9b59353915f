//! Definition files on disk → definitions, or all that is wrong with them.

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use streamgauge_definitions::{Checked, Definitions, Mistake};

/// Every mistake, a line each.
#[derive(Debug)]
pub struct Mistakes(pub Vec<Mistake>);

impl std::error::Error for Mistakes {}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

/// Reads files, and the `*.yaml` files of directories.
pub fn read(paths: &[PathBuf]) -> anyhow::Result<Definitions> {
    parse(&texts(paths)?).map_err(|mistakes| Mistakes(mistakes).into())
}

/// (name, text) of each file.
pub fn texts(paths: &[PathBuf]) -> anyhow::Result<Vec<(String, String)>> {
    let mut texts = Vec::new();
    for path in paths {
        for file in yaml_files(path)? {
            let text = std::fs::read_to_string(&file)
                .with_context(|| format!("couldn't read definitions {}", file.display()))?;
            texts.push((file.display().to_string(), text));
        }
    }
    Ok(texts)
}

/// (name, text) of each file; schema files lie beside them.
pub fn parse(texts: &[(String, String)]) -> Result<Definitions, Vec<Mistake>> {
    check(texts).definitions
}

/// As [`parse`], with the warnings.
pub fn check(texts: &[(String, String)]) -> Checked {
    Definitions::check(texts.iter().map(|(name, text)| (name.as_str(), text.as_str())), &schema_file)
}

fn schema_file(beside: &str, name: &str) -> Result<String, String> {
    let directory = Path::new(beside).parent().unwrap_or(Path::new("."));
    std::fs::read_to_string(directory.join(name)).map_err(|error| error.to_string())
}

/// A file itself, or the `.yaml` and `.yml` files of a directory and those below it, in alphabetical order.
pub fn yaml_files(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let shown = path.display();
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).with_context(|| format!("couldn't list definitions in {shown}"))? {
        let entry = entry.with_context(|| format!("couldn't list definitions in {shown}"))?;
        let file = entry.path();
        // What a link leads to may lead back.
        let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if is_directory {
            files.extend(yaml_files(&file)?);
        } else if file.extension().is_some_and(|extension| extension == "yaml" || extension == "yml") {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}
