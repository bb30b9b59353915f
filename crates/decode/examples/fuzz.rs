//! Compares the quick decoders with slow and independent ones, on records changed at random, for a given time.

use std::process::ExitCode;
use std::time::{Duration, Instant};

#[path = "fuzz/avro.rs"]
mod avro;
#[path = "fuzz/json.rs"]
mod json;
#[path = "fuzz/random.rs"]
mod random;
#[path = "fuzz/seeds.rs"]
mod seeds;

const USAGE: &str = "usage: fuzz [--seconds N] [--seed S]";

/// Between two looks at the clock.
const STEPS: u64 = 1000;

fn main() -> ExitCode {
    let (mut seconds, mut seed) = (10, 1);
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let number = arguments.next().and_then(|value| value.parse::<u64>().ok());
        match (name.as_str(), number) {
            ("--seconds", Some(number)) => seconds = number,
            ("--seed", Some(number)) => seed = number,
            _ => {
                eprintln!("{USAGE}");
                return ExitCode::from(2);
            }
        }
    }
    #[allow(clippy::disallowed_methods, reason = "a fuzzer runs for a time")]
    let started = Instant::now();
    let mut json = json::JsonFuzz::new(seed, seeds::json());
    let mut avro = avro::AvroFuzz::new(seed);
    let (mut executions, mut differences, mut shown) = (0_u64, 0_u64, Duration::ZERO);
    while started.elapsed() < Duration::from_secs(seconds) {
        for step in 0..STEPS {
            let result = if step % 4 == 3 { avro.step() } else { json.step() };
            if let Err(difference) = result {
                differences += 1;
                if differences <= 20 {
                    println!("DIFFERENCE {difference}");
                }
            }
        }
        executions += STEPS;
        if started.elapsed() - shown > Duration::from_secs(10) {
            shown = started.elapsed();
            println!("{:.0} s: {executions} executions, {differences} differences", shown.as_secs_f64());
        }
    }
    println!(
        "{executions} executions, {differences} differences, seed {seed}: three quarters JSON, each by three kinds ({} \
         accepted); one quarter Avro ({} accepted; {} rejected only by us, for known reasons)",
        json.accepted, avro.accepted, avro.stricter
    );
    if differences > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
