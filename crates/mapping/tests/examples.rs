//! Every mapping that is shipped or shown is one that works, and the page shows the files as they are.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

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

/// Standard output, or the message that the script ends with.
fn prepare(rates: &str, workloads: &str) -> Result<String, String> {
    let directory = tempfile::tempdir().expect("a place for temporary files");
    let (front, pod) = (directory.path().join("front.csv"), directory.path().join("pod.csv"));
    std::fs::write(&front, format!("Time,ServiceName,SuccessRate(%)\n{rates}")).expect("a place for temporary files");
    std::fs::write(&pod, format!("Time,PodName,PodWorkload(Ops)\n{workloads}")).expect("a place for temporary files");
    let script = workspace().join("examples/mappings/nezha-prepare.sh");
    let output = Command::new("sh").arg(script).args([&front, &pod]).output().expect("a POSIX shell");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(&format!("{}/", directory.path().display()), "");
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

#[test]
fn the_preparation_joins_by_minute_or_says_why_not() {
    let (first, second) =
        ("2022-08-22 03:51:19.5 +0000 UTC,Front,100\n", "2022-08-22 03:52:20.0 +0000 UTC,Front,99.5\n");
    let (load_1, load_2) = ("2022-08-22 03:51:20.1 +0000 UTC,pod,9.1\n", "2022-08-22 03:52:20.2 +0000 UTC,pod,9.2\n");
    let header = "minute_end,service,workload_per_second,success_percent";
    let rows = ["2022-08-22T03:51:00Z,Front,9.1,100", "2022-08-22T03:52:00Z,Front,9.2,99.5"];
    let both = [first, second].concat();
    let table = [
        (both.clone(), [load_1, load_2].concat(), Ok(format!("{header}\n{}\n{}\n", rows[0], rows[1]))),
        (both.clone(), load_1.to_owned(), Err("nezha-prepare: 1 minutes stand in the first file only\n")),
        (
            first.to_owned(),
            [load_1, load_2].concat(),
            Err("nezha-prepare: 2022-08-22T03:52:00Z stands in pod.csv only, or twice\n"),
        ),
        (
            [first, first].concat(),
            load_1.to_owned(),
            Err("nezha-prepare: 2022-08-22T03:51:00Z stands twice in front.csv\n"),
        ),
    ];
    for (rates, workloads, expected) in table {
        assert_eq!(prepare(&rates, &workloads), expected.map_err(str::to_owned), "{rates}{workloads}");
    }
}
