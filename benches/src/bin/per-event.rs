//! The per-event path alone, in one thread and without a broker, to be run under callgrind: the difference between two
//! modes is what one step costs, in instructions, which unlike time are the same on every run.

use anyhow::bail;
use clap::Parser;
use streamgauge_benches::records::{Folding, generate, steady};
use streamgauge_events::Request;

/// Reads N records of the `steady` scenario in one of three ways
#[derive(Parser)]
#[command(
    name = "per-event",
    after_help = "Example, instructions per event of decoding and folding:
  cargo build --release -p streamgauge-benches
  for mode in none decode fold; do
    valgrind --tool=callgrind --callgrind-out-file=/dev/null target/release/per-event --mode $mode
  done
  (decode - none) / N is the price of decoding, (fold - none) / N that of decoding and folding."
)]
struct Args {
    #[arg(long, default_value_t = 100_000)]
    events: u64,
    #[arg(long, value_enum)]
    mode: Mode,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Mode {
    /// Make the records, read nothing
    None,
    /// Decode each in full
    Decode,
    /// Decode, check time, fold into panes, cut those that are complete
    Fold,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let records = generate(&steady()?, args.events);
    match args.mode {
        Mode::None => {}
        Mode::Decode => {
            for record in &records {
                if std::hint::black_box(Request::from_json(&record.value)).is_err() {
                    bail!("a record of the steady scenario was rejected");
                }
            }
        }
        Mode::Fold => {
            let mut folding = Folding::new(1000)?;
            for record in &records {
                folding.fold(&record.value, record.at_us)?;
            }
            std::hint::black_box(&folding.outbox);
        }
    }
    let bytes: usize = records.iter().map(|record| record.value.len()).sum();
    println!("{} records, {} bytes each on average", records.len(), bytes / records.len().max(1));
    Ok(())
}
