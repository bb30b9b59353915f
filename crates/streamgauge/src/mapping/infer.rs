//! `streamgauge mapping infer`: the first rows of a file → a mapping to start from.

use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Args;
use streamgauge_events::Kind;
use streamgauge_mapping::{MappedFile, Mapping, Proposal};

use crate::cli::bad_usage;

/// The proposal is tried out on so many rows.
const TRIED_ROWS_MAX: u64 = 10_000;

/// Propose a mapping by the first rows of a file
///
/// Tells the format (CSV and its delimiter, JSON lines, access log, Parquet; gzipped or not) and looks for times, services,
/// routes, statuses, latencies and values, by the names of columns and by what their values have in common. Each line says
/// why it is there. What the file doesn't tell is marked FILL IN, and the mapping is refused until somebody has filled it in;
/// what was guessed, or doesn't hold of up to 5% of the values, is marked CHECK.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  streamgauge mapping infer access.log.gz
  streamgauge mapping infer usage.csv --event resources --out usage.yaml

Exit codes: 0 a mapping was written, 1 the file can't be read, 2 bad usage.")]
pub struct InferArgs {
    /// A file of rows; the first 1000 lines are looked at (of Parquet rows), 4 MiB of them at most
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// What the rows are; by default it is told by their columns
    #[arg(long, value_enum, value_name = "KIND")]
    event: Option<EventKind>,
    /// Where to write the mapping, instead of standard output; a file that exists is left alone
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum EventKind {
    Requests,
    Scores,
    Resources,
}

impl From<EventKind> for Kind {
    fn from(kind: EventKind) -> Self {
        match kind {
            EventKind::Requests => Self::Request,
            EventKind::Scores => Self::Score,
            EventKind::Resources => Self::Resource,
        }
    }
}

pub fn run(args: InferArgs) -> anyhow::Result<ExitCode> {
    let proposal = streamgauge_mapping::infer(&args.file, args.event.map(Kind::from))?;
    let mapping = Mapping::from_yaml("the proposal", &proposal.stand_in_yaml)
        .with_context(|| format!("couldn't write a valid mapping; this is what it was:\n{}", proposal.yaml))?;
    match &args.out {
        None => std::io::stdout().lock().write_all(proposal.yaml.as_bytes())?,
        Some(out) => {
            let mut file = File::create_new(out).map_err(|error| {
                bad_usage(anyhow::anyhow!("couldn't write {}: {error}. Choose another --out.", out.display()))
            })?;
            file.write_all(proposal.yaml.as_bytes())?;
        }
    }
    tell(&args, &proposal, &mapping)?;
    Ok(ExitCode::SUCCESS)
}

/// What the proposal makes of the file, to standard error: the mapping itself may go to a file by way of the shell.
fn tell(args: &InferArgs, proposal: &Proposal, mapping: &Mapping) -> anyhow::Result<()> {
    let mut file = match MappedFile::open(&args.file, mapping) {
        Ok(file) => file,
        Err(error) => bail!("the proposal doesn't fit the file: {error}"),
    };
    while let Some(record) = file.next() {
        record?;
        if file.counts().rows >= TRIED_ROWS_MAX {
            break;
        }
    }
    let counts = file.counts();
    let once = if proposal.to_fill_in.is_empty() { "" } else { ", once the mapping is filled in" };
    anstream::eprintln!(
        "{} rows tried, {} records refused; the others become {}s{once}",
        counts.rows,
        counts.rejected,
        proposal.kind
    );
    for (mark, fields) in [("fill in", &proposal.to_fill_in), ("check", &proposal.to_check)] {
        if !fields.is_empty() {
            anstream::eprintln!("to {mark}: {}", fields.join(", "));
        }
    }
    if let Some(out) = &args.out {
        let (out, file) = (out.display(), args.file.display());
        anstream::eprintln!("look at what it makes of the rows: streamgauge mapping test --mapping {out} {file}");
    }
    Ok(())
}
