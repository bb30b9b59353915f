//! Bytes → event: the largest part of what an event costs. The exact way, the quick ones, and serde_json for comparison.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use streamgauge_benches::records::{avro, generate, needed, steady};
use streamgauge_decode::{AvroDecoder, JsonDecoder};
use streamgauge_events::{FieldSet, Kind, Request};

fn decode(criterion: &mut Criterion) {
    let records = generate(&steady().expect("a built-in scenario"), 10_000);
    let steady: Vec<&[u8]> = records.iter().map(|record| record.value.as_slice()).collect();
    let examples: Vec<&[u8]> = include_str!("../../schemas/request.example.jsonl").lines().map(str::as_bytes).collect();
    let mut group = criterion.benchmark_group("decode");
    for (name, values) in [("steady, 250 B", &steady), ("schemas/request.example.jsonl", &examples)] {
        group.throughput(Throughput::Elements(values.len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| values.iter().filter(|value| Request::from_json(black_box(value)).is_ok()).count());
        });
    }
    group.throughput(Throughput::Elements(steady.len() as u64));
    group.bench_function("serde_json to Value, for comparison", |bencher| {
        let parse = |value: &&&[u8]| serde_json::from_slice::<serde_json::Value>(black_box(value)).is_ok();
        bencher.iter(|| steady.iter().filter(parse).count());
    });
    for (name, fields) in [("needed fields", needed()), ("all fields", FieldSet::ALL)] {
        group.throughput(Throughput::Elements(steady.len() as u64));
        let mut decoder = JsonDecoder::new(Kind::Request, fields);
        group.bench_function(format!("JsonDecoder, steady, {name}"), |bencher| {
            bencher.iter(|| steady.iter().filter(|value| decoder.decode(black_box(value)).is_ok()).count());
        });
        let (schemas, values) = avro(&records).expect("our own schema and our own records");
        let mut decoder = AvroDecoder::new(&schemas, fields);
        group.bench_function(format!("AvroDecoder, steady, {name}"), |bencher| {
            bencher.iter(|| values.iter().filter(|value| decoder.decode(black_box(value)).is_ok()).count());
        });
        group.throughput(Throughput::Elements(examples.len() as u64));
        let mut decoder = JsonDecoder::new(Kind::Request, fields);
        group.bench_function(format!("JsonDecoder, schemas/request.example.jsonl, {name}"), |bencher| {
            bencher.iter(|| examples.iter().filter(|value| decoder.decode(black_box(value)).is_ok()).count());
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
    targets = decode
}
criterion_main!(benches);
