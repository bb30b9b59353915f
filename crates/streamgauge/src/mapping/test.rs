//! `streamgauge mapping test`: a mapping over a file → what each row becomes, or why it becomes nothing.

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::{Value as Json, json};
use streamgauge_mapping::{Counts, MappedFile, MappedRecord, Mapping, reason, remedy};

use crate::cli::bad_usage;

/// Some rows become no events.
pub const EXIT_FAILED: u8 = 1;
/// Without --rows and --failed: as many as fit a screen.
const ROWS_DEFAULT: u64 = 10;
/// Characters of a row that are shown.
const ROW_CHARS_MAX: usize = 160;
/// Events of one row that are shown; a row may stand for thousands.
const EVENTS_SHOWN_MAX: u64 = 3;

/// Show what each row of a file becomes, and why some become nothing
///
/// Nothing is sent and nothing is written. Below each row stands the event that it becomes, or the reason why it becomes
/// none and what to do about it; the last lines count the reasons.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  streamgauge mapping test --mapping mapping.yaml access.log.gz
  streamgauge mapping test --mapping mapping.yaml access.log.gz --failed
  streamgauge mapping test --mapping mapping.yaml minutes.csv --rows 100 --json

Exit codes: 0 all rows become events (or stand for none), 1 some rows fail, or the file can't be read on, 2 bad usage, a \
mistake in the mapping, or a file that it doesn't fit.")]
pub struct TestArgs {
    /// How rows become events; docs/mappings.md explains the format
    #[arg(long, value_name = "FILE")]
    mapping: PathBuf,
    /// The file to read
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Rows to read [default: 10, or all with --failed]
    #[arg(long, value_name = "N")]
    rows: Option<u64>,
    /// Show only rows that fail
    #[arg(long)]
    failed: bool,
    /// One JSON object a line: for each event or failure one, then the counts
    #[arg(long)]
    json: bool,
}

pub fn run(args: TestArgs) -> anyhow::Result<ExitCode> {
    let mapping = Mapping::open(&args.mapping).map_err(bad_usage)?;
    let mut file = MappedFile::open(&args.file, &mapping).map_err(bad_usage)?;
    let rows_max = args.rows.unwrap_or(if args.failed { u64::MAX } else { ROWS_DEFAULT });
    let mut report = Report { args: &args, row: None, reasons: BTreeMap::new(), events: 0, failed: 0 };
    let mut out = BufWriter::new(io::stdout().lock());
    let mut counts = file.counts();
    let shown = loop {
        if counts.rows > rows_max {
            break Ok(());
        }
        let Some(record) = file.next() else {
            counts = file.counts();
            break Ok(());
        };
        // A record of the row behind the last one that was asked for is none of ours.
        if file.counts().rows > rows_max {
            break Ok(());
        }
        counts = file.counts();
        if let Err(error) = report.record(&record?, &mut out) {
            break Err(error);
        }
    };
    match shown.and_then(|()| report.finish(counts, &mut out)).and_then(|()| out.flush()) {
        // The reader has gone (`| head`).
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        shown => shown?,
    }
    Ok(if report.failed == 0 { ExitCode::SUCCESS } else { ExitCode::from(EXIT_FAILED) })
}

struct Report<'a> {
    args: &'a TestArgs,
    /// The line that was shown last, and how many events of it.
    row: Option<(u64, u64)>,
    reasons: BTreeMap<String, u64>,
    events: u64,
    failed: u64,
}

impl Report<'_> {
    fn record(&mut self, record: &MappedRecord, out: &mut impl Write) -> io::Result<()> {
        match &record.event {
            Ok(_) => self.events += 1,
            Err(rejection) => {
                self.failed += 1;
                *self.reasons.entry(reason(&rejection.message)).or_default() += 1;
            }
        }
        if self.args.failed && record.event.is_ok() {
            return Ok(());
        }
        if self.args.json { self.as_json(record, out) } else { self.as_text(record, out) }
    }

    fn as_json(&self, record: &MappedRecord, out: &mut impl Write) -> io::Result<()> {
        let mut shown = json!({ "line": record.line, "row": row_text(&record.raw) });
        match &record.event {
            Ok(event) => {
                shown["kind"] = json!(event.kind());
                shown["event"] = serde_json::from_slice::<Json>(&event.to_json())?;
            }
            Err(rejection) => {
                shown["failure"] = json!(rejection.message);
                shown["remedy"] = json!(remedy(&rejection.message));
            }
        }
        writeln!(out, "{shown}")
    }

    fn as_text(&mut self, record: &MappedRecord, out: &mut impl Write) -> io::Result<()> {
        let of_row = match &mut self.row {
            Some((line, of_row)) if *line == record.line => {
                *of_row += 1;
                *of_row
            }
            _ => {
                self.end_row(out)?;
                self.row = Some((record.line, 1));
                writeln!(out, "{}: {}", record.line, row_text(&record.raw))?;
                1
            }
        };
        match &record.event {
            Ok(event) if of_row <= EVENTS_SHOWN_MAX => {
                writeln!(out, "   becomes {}", String::from_utf8_lossy(&event.to_json()))
            }
            Ok(_) => Ok(()),
            Err(rejection) => {
                writeln!(out, "   fails: {}", rejection.message)?;
                writeln!(out, "   remedy: {}", remedy(&rejection.message))
            }
        }
    }

    /// How many events of the last row were not shown.
    fn end_row(&self, out: &mut impl Write) -> io::Result<()> {
        match self.row {
            Some((_, of_row)) if of_row > EVENTS_SHOWN_MAX && !self.args.failed => {
                writeln!(out, "   and {} more", of_row - EVENTS_SHOWN_MAX)
            }
            _ => Ok(()),
        }
    }

    fn finish(&self, counts: Counts, out: &mut impl Write) -> io::Result<()> {
        let Counts { rows, records, blank, empty, .. } = counts;
        if self.args.json {
            let counts = json!({
                "rows": rows, "records": records, "blank": blank, "empty": empty, "events": self.events,
                "failed": self.failed, "reasons": self.reasons,
            });
            return writeln!(out, "{}", json!({ "counts": counts }));
        }
        self.end_row(out)?;
        write!(out, "{rows} rows")?;
        if records != rows {
            write!(out, ", {records} records of them")?;
        }
        writeln!(out, ": {} events, {} without any, {} failed", self.events, empty, self.failed)?;
        for (reason, count) in &self.reasons {
            writeln!(out, "  {count}: {reason}")?;
        }
        Ok(())
    }
}

/// On one line, shortened.
fn row_text(raw: &[u8]) -> String {
    let text = String::from_utf8_lossy(raw);
    let mut shown: String =
        text.chars().take(ROW_CHARS_MAX).map(|char| if char.is_control() { ' ' } else { char }).collect();
    if text.chars().nth(ROW_CHARS_MAX).is_some() {
        shown.push('…');
    }
    shown
}
