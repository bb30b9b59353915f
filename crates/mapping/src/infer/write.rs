//! What was inferred → a commented mapping file. Knows YAML. Must never decide anything.

use streamgauge_events::Kind;

use super::{CHECK, FILL_IN, FieldLine, Inference, MetricColumn, Proposal};
use crate::mapping::Format;

/// Lines of what is left over: a wide table has thousands.
const LEFT_OVER_MAX: usize = 40;

pub fn proposal(inference: &Inference<'_>, kind: Kind, source: &str, unpivot: &[MetricColumn]) -> Proposal {
    let lines = ordered(&inference.lines, kind);
    let yaml = |keys: fn(&FieldLine) -> &str| {
        let mut out = head(inference, kind, source, unpivot);
        for line in &lines {
            if !line.comment.is_empty() {
                out.push(format!("  # {}", line.comment));
            }
            out.push(format!("  {}: {{ {} }}", line.name, keys(line)));
        }
        out.extend(left_over(inference));
        // A control character would end a comment, and there may be any in the name of a place.
        let plain = |line: &String| line.replace(char::is_control, " ");
        out.iter().map(plain).collect::<Vec<_>>().join("\n") + "\n"
    };
    let marked = |mark: &str| {
        let marked = lines.iter().filter(|line| line.comment.contains(mark));
        marked.map(|line| line.name.clone()).collect::<Vec<_>>()
    };
    let mut to_check = marked(CHECK);
    to_check.extend(inference.refused.iter().map(|(field, _)| (*field).to_owned()));
    Proposal {
        yaml: yaml(|line| &line.keys),
        stand_in_yaml: yaml(|line| line.stand_in.as_ref().unwrap_or(&line.keys)),
        kind,
        to_fill_in: marked(FILL_IN),
        to_check,
    }
}

/// All that stands above the fields.
fn head(inference: &Inference<'_>, kind: Kind, source: &str, unpivot: &[MetricColumn]) -> Vec<String> {
    let table = inference.table;
    let mut out = Vec::new();
    let of = if table.rows == 1 { "row" } else { "rows" };
    out.push(format!(
        "# Proposed from {} {of} of {}. Read it before you use it: {FILL_IN} marks what the file doesn't",
        table.rows, source
    ));
    out.push(format!("# tell, {CHECK} what was guessed, or doesn't hold of every row."));
    out.extend(table.notes.iter().map(|note| format!("# - {note}")));
    out.extend(inference.refused.iter().map(|(_, refused)| format!("# - {CHECK}: {refused}")));
    out.push("apiVersion: streamgauge/v1".to_owned());
    out.push("kind: Mapping".to_owned());
    out.push(format!("event: {kind}s"));
    let name = Format::NAMES.into_iter().find(|(_, format)| *format == table.format).map_or("csv", |(name, _)| name);
    out.push(format!("format: {name}"));
    out.extend(csv(inference));
    if table.format == Format::Lines {
        out.push(format!("# {FILL_IN}: what the lines look like, with a group for each field."));
        out.push("pattern: '^(?<line>.*)$'".to_owned());
    }
    if !unpivot.is_empty() {
        out.push("unpivot:".to_owned());
        out.push(format!("  # {CHECK}: `scale: 0.01` beside a metric turns a percentage into a share, 1/1048576 bytes into mebibytes."));
        out.push("  columns:".to_owned());
    }
    for column in unpivot {
        out.extend(column.unfit.iter().map(|unfit| format!("    # {CHECK}: {unfit}")));
        out.push(format!("    {}: {{ metric: {} }}", quoted(&column.place), quoted(&column.metric)));
    }
    out.push("fields:".to_owned());
    out
}

fn left_over(inference: &Inference<'_>) -> Vec<String> {
    let left_over = inference.left_over();
    if left_over.is_empty() {
        return Vec::new();
    }
    let mut out = vec!["# Not used. To keep one as a text, move its line to the fields:".to_owned()];
    out.extend(left_over.iter().take(LEFT_OVER_MAX).map(|line| format!("#   {line}")));
    if left_over.len() > LEFT_OVER_MAX {
        out.push(format!("#   and {} more", left_over.len() - LEFT_OVER_MAX));
    }
    out
}

fn csv(inference: &Inference<'_>) -> Option<String> {
    let csv = &inference.table.csv;
    let mut keys = Vec::new();
    match csv.delimiter {
        b',' => {}
        b'\t' => keys.push("delimiter: \"\\t\"".to_owned()),
        other => keys.push(format!("delimiter: \"{}\"", char::from(other))),
    }
    if csv.header_rows != 1 {
        keys.push(format!("header_rows: {}", csv.header_rows));
    }
    if csv.header_rows > 1 {
        keys.push(format!("name_rows: {:?}", csv.name_rows));
    }
    if let Some(columns) = &csv.columns {
        keys.push(format!("columns: [{}]", columns.join(", ")));
    }
    (inference.table.format == Format::Csv && !keys.is_empty()).then(|| format!("csv: {{ {} }}", keys.join(", ")))
}

/// In the order in which events are written.
fn ordered(lines: &[FieldLine], kind: Kind) -> Vec<&FieldLine> {
    let mut lines: Vec<&FieldLine> = lines.iter().collect();
    lines.sort_by_key(|line| kind.fields().iter().position(|field| field.name() == line.name));
    lines
}

/// As YAML has it: plain where nothing could be taken for anything else.
pub fn quoted(text: &str) -> String {
    let plain = text.starts_with(|char: char| char.is_ascii_alphabetic() || char == '/')
        && text.chars().all(|char| char.is_ascii_alphanumeric() || "_-/.".contains(char))
        && !["true", "false", "null", "yes", "no", "on", "off", "y", "n"].contains(&text.to_lowercase().as_str());
    if plain { text.to_owned() } else { serde_json::to_string(text).expect("a text always has a JSON form") }
}
