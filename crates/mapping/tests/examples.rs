//! Every mapping that is shipped or shown is one that works, and the page shows the files as they are.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use streamgauge_mapping::Mapping;

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The shipped mappings by file name.
fn shipped() -> BTreeMap<String, String> {
    let directory = workspace().join("examples/mappings");
    let files = std::fs::read_dir(&directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    files
        .map(|file| file.expect("the directory can be read").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .map(|path| (path.file_name().expect("a file has a name").to_string_lossy().into_owned(), read(&path)))
        .collect()
}

#[test]
fn every_shipped_mapping_is_valid() {
    let shipped = shipped();
    assert!(shipped.contains_key("elastic_apache.yaml") && shipped.contains_key("nezha.yaml"), "{:?}", shipped.keys());
    for (name, text) in shipped {
        Mapping::from_yaml(&name, &text).unwrap_or_else(|error| panic!("{error}"));
    }
}

#[test]
fn the_page_shows_valid_mappings_and_the_shipped_ones_as_they_are() {
    let page = read(&workspace().join("docs/mappings.md"));
    let blocks: Vec<&str> =
        page.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap_or_default()).collect();
    for block in &blocks {
        Mapping::from_yaml("docs/mappings.md", block).unwrap_or_else(|error| panic!("{error}\n{block}"));
    }
    for (name, text) in shipped() {
        assert!(blocks.contains(&text.as_str()), "docs/mappings.md doesn't show {name} as it is");
        assert!(page.contains(&format!("examples/mappings/{name}")), "docs/mappings.md doesn't name {name}");
    }
}
