//! The files of this repository, without what builds, brokers and git leave beside them.

use std::path::{Path, PathBuf};

/// The root of the repository.
pub fn root() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().expect("tests/ lies in the root").to_owned()
}

/// Every file, as a path from the root with `/`, in order.
pub fn files() -> Vec<String> {
    let mut found = Vec::new();
    walk(&root(), "", &mut found);
    found.sort();
    found
}

/// Files below a directory of the root with one of these endings.
pub fn files_in(directory: &str, endings: &[&str]) -> Vec<String> {
    let wanted = |file: &String| file.starts_with(directory) && endings.iter().any(|ending| file.ends_with(ending));
    files().into_iter().filter(wanted).collect()
}

pub fn read(file: &str) -> String {
    std::fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn walk(root: &Path, below: &str, found: &mut Vec<String>) {
    let directory = root.join(below);
    let entries = std::fs::read_dir(&directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    for entry in entries {
        let entry = entry.expect("a directory that was opened can be listed");
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if below.is_empty() { name.clone() } else { format!("{below}/{name}") };
        let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
        let is_ours = if name.starts_with('.') { name == ".ci" || !is_directory } else { name != "target" };
        match (is_directory, is_ours) {
            (true, true) => walk(root, &path, found),
            (false, true) => found.push(path),
            _ => {}
        }
    }
}
