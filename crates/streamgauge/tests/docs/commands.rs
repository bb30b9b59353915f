//! Command lines in documents, help texts and comments, against `--help`.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

pub fn read(file: &str) -> String {
    std::fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// The path of one of our programs.
pub fn program(name: &str) -> Option<&'static str> {
    match name {
        "streamgauge" => Some(env!("CARGO_BIN_EXE_streamgauge")),
        "streamgauge-sli" => Some(env!("CARGO_BIN_EXE_streamgauge-sli")),
        "streamgauge-slo" => Some(env!("CARGO_BIN_EXE_streamgauge-slo")),
        _ => None,
    }
}

/// A command line as somebody wrote it.
struct Written {
    at: String,
    words: Vec<String>,
}

#[derive(Default)]
pub struct Helps(RefCell<BTreeMap<Vec<String>, String>>);

impl Helps {
    /// What `program words... --help` prints.
    pub fn of(&self, words: &[String]) -> String {
        let mut known = self.0.borrow_mut();
        known.entry(words.to_vec()).or_insert_with(|| print_help(words)).clone()
    }

    /// The mistake in a command line, if there is one.
    pub fn mistake(&self, words: &[String]) -> Option<String> {
        let mut path = vec![words[0].clone()];
        let mut rest = &words[1..];
        while let (commands, Some(next)) = (subcommands(&self.of(&path)), rest.first()) {
            if commands.is_empty() || next.starts_with('-') {
                break;
            }
            // `plan|apply|check` stands for any of them.
            let named: Vec<&str> = next.split('|').collect();
            if let Some(unknown) = named.iter().find(|name| !commands.iter().any(|command| command == *name)) {
                return Some(format!("{} has no command {unknown}; it has {}", path.join(" "), commands.join(", ")));
            }
            path.push(named[0].to_owned());
            rest = &rest[1..];
        }
        let help = self.of(&path);
        let flags = words[1..].iter().filter(|word| word.starts_with("--") && word.len() > 2);
        for flag in flags {
            let flag = flag.split(['=', '|']).next().unwrap_or_default().trim_end_matches([',', '.', ']']);
            if !has_flag(&help, flag) {
                return Some(format!("{} has no {flag}", path.join(" ")));
            }
        }
        None
    }
}

fn print_help(words: &[String]) -> String {
    let program = program(&words[0]).unwrap_or_else(|| panic!("{} is none of our programs", words[0]));
    let output = Command::new(program).args(&words[1..]).arg("--help").output().expect("our programs can be run");
    assert!(output.status.success(), "{} --help fails: {}", words.join(" "), String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn subcommands(help: &str) -> Vec<String> {
    let section = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let entries =
        section.take_while(|line| !line.is_empty()).filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    entries.filter_map(|line| line.split_whitespace().next().map(str::to_owned)).collect()
}

/// Whether a help text has a flag, as a whole word.
pub fn has_flag(help: &str, flag: &str) -> bool {
    help.match_indices(flag).any(|(at, _)| {
        let next = help[at + flag.len()..].chars().next();
        !next.is_some_and(|c| c.is_alphanumeric() || c == '-')
    })
}

// ---- where commands are written

/// Files with one of these endings, below the root; without what builds and brokers leave there.
fn files(endings: &[&str]) -> Vec<String> {
    fn walk(directory: &Path, below: &str, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(directory).expect("the repository can be listed") {
            let entry = entry.expect("the repository can be listed");
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = format!("{below}{name}");
            if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                found.push(path);
            } else if name != "target" && !name.starts_with('.') {
                walk(&entry.path(), &format!("{path}/"), found);
            }
        }
    }
    let mut found = Vec::new();
    walk(&root(), "", &mut found);
    found.retain(|file| endings.iter().any(|ending| file.ends_with(ending)));
    found.sort();
    found
}

/// Every command line of ours in a text: in backticks, or as a line of its own.
fn written(file: &str, text: &str) -> Vec<Written> {
    let mut found = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((index, line)) = lines.next() {
        let mut whole = line.to_owned();
        while whole.ends_with('\\') {
            whole.pop();
            let Some((_, next)) = lines.next() else { break };
            whole.push_str(next.trim_start_matches([' ', '#', '/']));
        }
        let spans: Vec<&str> = whole.split('`').collect();
        let texts = match spans.len() {
            1 => vec![whole.trim_start_matches([' ', '#', '$', '/', '!'])],
            _ => spans.into_iter().skip(1).step_by(2).collect(),
        };
        for text in texts {
            found.extend(
                command_lines(text).into_iter().map(|words| Written { at: format!("{file}:{}", index + 1), words }),
            );
        }
    }
    found
}

/// The commands of a line: `A=b streamgauge load … | kcat …`, `cargo run --bin streamgauge -- demo`.
fn command_lines(text: &str) -> Vec<Vec<String>> {
    let text = text.split(" # ").next().unwrap_or_default();
    let parts = text.split(" | ").flat_map(|part| part.split(" && ")).flat_map(|part| part.split("; "));
    parts.filter_map(command_line).collect()
}

fn command_line(text: &str) -> Option<Vec<String>> {
    let is_assignment = |word: &&str| {
        word.split_once('=').is_some_and(|(name, _)| name.chars().all(|c| c.is_ascii_uppercase() || c == '_'))
    };
    let words: Vec<&str> = text.split_whitespace().skip_while(is_assignment).collect();
    let first = *words.first()?;
    let own = |words: &[&str]| words.iter().map(|word| word.trim_matches(['"', '\'']).to_owned()).collect();
    if first == "cargo" {
        let program = words.iter().position(|word| *word == "--bin").and_then(|at| words.get(at + 1))?;
        let rest = words.iter().position(|word| *word == "--").map_or(words.len(), |at| at + 1);
        let mut line: Vec<String> = own(&words[rest..]);
        line.insert(0, (*program).to_owned());
        return Some(line);
    }
    let name = first.rsplit('/').next().unwrap_or(first);
    // A sentence that begins with the name is no command.
    let is_command = words.len() == 1 || words[1].starts_with(|c: char| c.is_ascii_lowercase() || c == '-');
    (["streamgauge", "streamgauge-sli", "simulate"].contains(&name) && is_command).then(|| {
        let mut line: Vec<String> = own(&words[1..]);
        line.insert(0, name.to_owned());
        line
    })
}

#[test]
fn commands_and_flags_in_documents_exist() {
    let helps = Helps::default();
    let mut wrong = Vec::new();
    let mut checked = 0;
    for file in files(&[".md", ".yaml", ".sh"]) {
        for Written { at, words } in written(&file, &read(&file)) {
            let mistake =
                if program(&words[0]).is_some() { helps.mistake(&words) } else { mistake_of_simulate(&words) };
            wrong.extend(mistake.map(|mistake| format!("{at}: {mistake}")));
            checked += 1;
        }
    }
    assert!(wrong.is_empty(), "commands that would not work:\n{}", wrong.join("\n"));
    assert!(checked >= 10, "only {checked} command lines were found in all documents: does the search still work?");
}

/// The simulator is a program of the test package, which this package can't build: its arguments are read in its source.
fn mistake_of_simulate(words: &[String]) -> Option<String> {
    let source = read("tests/src/bin/simulate.rs");
    let flags = words[1..].iter().filter_map(|word| word.strip_prefix("--"));
    let unknown = flags.map(|flag| flag.replace('-', "_")).find(|name| !source.contains(&format!("    {name}:")))?;
    Some(format!("simulate has no argument {unknown}"))
}

#[test]
fn commands_in_our_own_help_texts_and_messages_exist() {
    let helps = Helps::default();
    let mut wrong = Vec::new();
    for file in files(&[".rs"]).iter().filter(|file| file.starts_with("crates/") && file.contains("/src/")) {
        for Written { at, words } in written(file, &read(file)) {
            if program(&words[0]).is_some() {
                wrong.extend(helps.mistake(&words).map(|mistake| format!("{at}: {mistake}")));
            }
        }
    }
    assert!(wrong.is_empty(), "sources name commands that would not work:\n{}", wrong.join("\n"));
}

#[test]
fn commands_of_scripts_in_documents_exist() {
    let help = Command::new(root().join("scripts/kafka")).arg("--help").output().expect("scripts/kafka can be run");
    let help = String::from_utf8_lossy(&help.stdout).into_owned();
    let known: Vec<&str> = help.lines().filter_map(|line| line.strip_prefix("  ")?.split_whitespace().next()).collect();
    let mut wrong = Vec::new();
    for file in files(&[".md"]) {
        for (index, line) in read(&file).lines().enumerate() {
            for rest in line.split("scripts/kafka ").skip(1) {
                let word: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '-').collect();
                if word != "--help" && !known.contains(&word.as_str()) {
                    wrong.push(format!("{file}:{}: scripts/kafka {word}", index + 1));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "scripts/kafka has no such commands:\n{}", wrong.join("\n"));
}

/// The topic table says who writes and reads: stages, commands, people.
#[test]
fn commands_in_the_topic_table_exist() {
    let helps = Helps::default();
    for topic in streamgauge_events::topics::table() {
        for who in topic.writers.iter().chain(&topic.readers) {
            if let Some(words) = command_line(who) {
                assert_eq!(helps.mistake(&words), None, "schemas/topics/{}.yaml: {who}", topic.topic);
            }
        }
    }
}

#[test]
fn the_search_finds_commands_and_mistakes() {
    let helps = Helps::default();
    let check = |line: &str, expected: &str| {
        let found: Vec<String> = command_lines(line)
            .iter()
            .map(|words| helps.mistake(words).map_or_else(|| words.join(" "), |mistake| format!("! {mistake}")))
            .collect();
        assert_eq!(found.join(" / "), expected, "{line}");
    };
    check("cargo run --bin streamgauge -- topics plan", "streamgauge topics plan");
    check("A_B=1 streamgauge topics list | kcat -t x", "streamgauge topics list");
    check("target/debug/streamgauge topics plan|apply --prefix x.  # why", "streamgauge topics plan|apply --prefix x.");
    check("streamgauge topics plan --nonsense", "! streamgauge topics plan has no --nonsense");
    check("Streamgauge is a gauge, and streamgauge topics too", "");
}
