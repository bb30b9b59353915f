//! The per-event path alone, in one thread and without a broker, to be run under callgrind: the difference between two
//! modes is what one step costs, in instructions, which unlike time are the same on every run.

use anyhow::bail;
use clap::Parser;
use streamgauge_benches::records::{Folding, avro, generate, needed, steady};
use streamgauge_decode::{AvroDecoder, JsonDecoder};
use streamgauge_events::{FieldSet, Kind, Request};

/// Reads N records of the `steady` scenario in one of these ways
#[derive(Parser)]
#[command(
    name = "per-event",
    after_help = "Example, instructions per event of decoding and folding:
  cargo build --release -p streamgauge-benches
  for mode in none decode json json-all avro-none avro avro-all fold; do
    valgrind --tool=callgrind --callgrind-out-file=/dev/null target/release/per-event --mode $mode
  done
  (decode - none) / N is the price of decoding, (fold - none) / N that of decoding and folding; of Avro it is
  (avro - avro-none) / N."
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
    /// Decode each in full, by serde_json
    Decode,
    /// Decode by `JsonDecoder`, keeping what the golden signals and a definition by route and version read
    Json,
    /// Decode by `JsonDecoder`, keeping all fields
    JsonAll,
    /// Make the records in Avro, read nothing
    AvroNone,
    /// As `json`, of Avro
    Avro,
    /// As `json-all`, of Avro
    AvroAll,
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
        Mode::Json | Mode::JsonAll => {
            let fields = if matches!(args.mode, Mode::Json) { needed() } else { FieldSet::ALL };
            let mut decoder = JsonDecoder::new(Kind::Request, fields);
            for record in &records {
                if std::hint::black_box(decoder.decode(&record.value)).is_err() {
                    bail!("a record of the steady scenario was rejected");
                }
            }
        }
        Mode::AvroNone | Mode::Avro | Mode::AvroAll => {
            let (schemas, values) = avro(&records)?;
            let fields = if matches!(args.mode, Mode::Avro) { needed() } else { FieldSet::ALL };
            let mut decoder = AvroDecoder::new(&schemas, fields);
            for value in values.iter().filter(|_| !matches!(args.mode, Mode::AvroNone)) {
                if std::hint::black_box(decoder.decode(value)).is_err() {
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
