//! Records → panes, as the worker does it between Kafka and the outbox: decode, check time, fold, cut.

use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use streamgauge_benches::records::{Folding, generate, steady, with_series};

const EVENTS: u64 = 20_000;

fn fold(criterion: &mut Criterion) {
    let scenarios = [
        ("steady, 100 series", steady().expect("a built-in scenario")),
        ("1,000 series", with_series(1000).expect("a valid scenario")),
    ];
    let mut group = criterion.benchmark_group("decode and fold");
    group.throughput(Throughput::Elements(EVENTS));
    for (name, scenario) in scenarios {
        let records = generate(&scenario, EVENTS);
        group.bench_function(name, |bencher| {
            bencher.iter_batched(
                || Folding::new(1000).expect("default definitions"),
                |mut folding| {
                    for record in &records {
                        folding.fold(&record.value, record.at_us).expect("nothing halts an empty chain");
                    }
                    folding
                },
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(3));
    targets = fold
}
criterion_main!(benches);
