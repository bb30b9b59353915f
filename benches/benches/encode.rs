//! What a batch costs on its way out: histograms to their canonical bytes, deltas to JSON.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use streamgauge_benches::records::{Folding, generate, steady};
use streamgauge_events::{Delta, Fact, topics};
use streamgauge_stats::OpenHistogram;

/// The deltas of one pane of the steady scenario: 100 series with about 1,000 events each.
fn deltas() -> Vec<Delta> {
    let mut folding = Folding::new(1000).expect("default definitions");
    for record in generate(&steady().expect("a built-in scenario"), 200_000) {
        folding.fold(&record.value, record.at_us).expect("nothing halts an empty chain");
    }
    let outputs = folding.outbox.outputs().iter().filter(|output| output.topic == topics::SLI_WINDOWS);
    let facts = outputs.map(|output| Fact::from_json(&output.value).expect("as the stage writes it"));
    facts.filter_map(|fact| if let Fact::Delta(delta) = fact { Some(delta) } else { None }).collect()
}

fn encode(criterion: &mut Criterion) {
    let deltas = deltas();
    let mut group = criterion.benchmark_group("encode");
    group.throughput(Throughput::Elements(deltas.len() as u64));
    group.bench_function("deltas to JSON", |bencher| {
        bencher.iter(|| deltas.iter().map(|delta| black_box(delta).to_json().len()).sum::<usize>());
    });
    for (name, values) in [("histogram, sparse, 50 values", 50), ("histogram, dense, 1,000 values", 1000_u64)] {
        let mut histogram = OpenHistogram::default();
        (0..values).for_each(|step| histogram.record(1000 + (step * step * 7919) % 1_000_000));
        group.throughput(Throughput::Elements(1));
        group.bench_function(name, |bencher| bencher.iter(|| black_box(&histogram).encode()));
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(3));
    targets = encode
}
criterion_main!(benches);
