//! Phase two: deltas of many batches → panes, and histograms into one.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use streamgauge_benches::records::{Folding, generate, steady};
use streamgauge_events::{Fact, topics};
use streamgauge_stats::{Histogram, OpenHistogram};
use streamgauge_windows::{Fold, Only};

/// What the stage writes for 40 s of the steady scenario: three panes of 100 series.
fn written() -> Vec<Vec<u8>> {
    let mut folding = Folding::new(1000).expect("default definitions");
    for record in generate(&steady().expect("a built-in scenario"), 400_000) {
        folding.fold(&record.value, record.at_us).expect("nothing halts an empty chain");
    }
    let outputs = folding.outbox.outputs().iter().filter(|output| output.topic == topics::SLI_WINDOWS);
    outputs.map(|output| output.value.clone()).collect()
}

fn merge(criterion: &mut Criterion) {
    let values = written();
    let facts: Vec<Fact> = values.iter().map(|value| Fact::from_json(value).expect("as the stage writes it")).collect();
    let encoded = facts.iter().filter_map(|fact| match fact {
        Fact::Delta(delta) => delta.latency.as_ref().map(|latency| latency.histogram.clone()),
        Fact::Frontier(_) => None,
    });
    let encoded: Vec<Vec<u8>> = encoded.collect();
    let open: Vec<OpenHistogram> = (1..=100_u64).map(open_histogram).collect();

    let mut group = criterion.benchmark_group("merge");
    group.throughput(Throughput::Elements(values.len() as u64));
    group.bench_function("facts, from JSON into panes", |bencher| {
        bencher.iter(|| {
            let mut fold = Fold::new(Only::default());
            values.iter().for_each(|value| fold.observe(0, black_box(value)).expect("as the stage writes it"));
            fold
        });
    });
    group.throughput(Throughput::Elements(encoded.len() as u64));
    group.bench_function("histograms, encoded, into one", |bencher| {
        bencher.iter(|| {
            let mut sum = Histogram::default();
            encoded.iter().for_each(|bytes| sum.merge(&Histogram::decode(black_box(bytes)).expect("canonical bytes")));
            sum
        });
    });
    group.throughput(Throughput::Elements(open.len() as u64));
    group.bench_function("histograms, open and dense, into one", |bencher| {
        bencher.iter(|| {
            let mut sum = OpenHistogram::default();
            open.iter().for_each(|histogram| sum.merge(black_box(histogram)));
            sum
        });
    });
    group.finish();
}

/// 1,000 values over three decades, so many counters that it is kept as an array.
fn open_histogram(seed: u64) -> OpenHistogram {
    let mut histogram = OpenHistogram::default();
    (0..1000_u64).for_each(|step| histogram.record(1000 + (step * step * seed) % 1_000_000));
    histogram
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(3));
    targets = merge
}
criterion_main!(benches);
