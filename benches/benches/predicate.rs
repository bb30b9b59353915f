//! Predicates over decoded events, beside the `cel` crate on the same ones. Its variables are bound before the clock starts.

use std::hint::black_box;
use std::time::Duration;

use cel::{Context, Program};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use streamgauge_events::{Event, EventTime, Field, Kind, NumberField, TextField};
use streamgauge_predicate::Predicate;

/// Few enough to stay in the nearest cache, many enough that branches can't be learnt by heart.
const EVENTS: usize = 512;

const PREDICATES: [(Kind, &str); 8] = [
    (Kind::Request, "status > 0 && status < 500"),
    (Kind::Request, "route == \"/pay\" && ok"),
    (Kind::Request, "route in [\"/a\", \"/b\"] && latency_us <= 300000"),
    (Kind::Score, "value >= 0.85"),
    (Kind::Request, "ok ? latency_us < 300000 : status in [400, 401, 403, 404]"),
    (Kind::Request, "route.startsWith(\"/pay\") && (status < 500 || method == \"GET\")"),
    (Kind::Request, "latency_us / 1000 < 300"),
    (Kind::Request, "route.matches(\"^/(pay|a)$\")"),
];

/// Of four routes, ten statuses and latencies around the limits; one in sixteen lacks its status.
fn events() -> Vec<Event<'static>> {
    let mut mixed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut below = |bound: u64| {
        mixed ^= mixed << 13;
        mixed ^= mixed >> 7;
        mixed ^= mixed << 17;
        mixed % bound
    };
    let made = (0..EVENTS).map(|_| {
        let mut event = Event::new(EventTime(1), "checkout");
        event.set_text(TextField::Route, ["/pay", "/a", "/b", "/checkout"][below(4) as usize].into());
        event.set_text(TextField::Method, ["GET", "POST"][below(2) as usize].into());
        if below(16) > 0 {
            event.set_number(
                NumberField::Status,
                [200, 200, 200, 200, 201, 302, 401, 404, 500, 503][below(10) as usize],
            );
        }
        event.set_number(NumberField::LatencyUs, below(600_000) as i64);
        event.set_number(NumberField::Value, below(1_000_001) as i64);
        event.ok = Some(below(10) > 0);
        event
    });
    made.collect()
}

fn variables(event: &Event<'_>, kind: Kind) -> Context<'static, 'static> {
    let mut variables = Context::default();
    for field in kind.fields() {
        let value = match *field {
            Field::Text(field) => event.text(field).map(cel::Value::from),
            Field::Number(number) if number.is_decimal() => {
                event.number(number).map(|value| (value as f64 / 1e6).into())
            }
            Field::Number(number) => event.number(number).map(cel::Value::from),
            Field::Ok => event.ok.map(cel::Value::from),
            Field::Ts | Field::Attributes => None,
        };
        if let Some(value) = value {
            variables.add_variable_from_value(field.name(), value);
        }
    }
    variables
}

fn predicates(criterion: &mut Criterion) {
    let events = events();
    let mut group = criterion.benchmark_group("predicate, ours");
    group.throughput(Throughput::Elements(EVENTS as u64));
    for (kind, text) in PREDICATES {
        let predicate = Predicate::compile(text, kind).expect("a predicate");
        group.bench_function(text, |bencher| {
            bencher.iter(|| events.iter().filter(|event| predicate.holds(black_box(event)) == Some(true)).count());
        });
    }
    group.finish();

    let mut group = criterion.benchmark_group("predicate, cel");
    group.throughput(Throughput::Elements(EVENTS as u64));
    for (kind, text) in PREDICATES {
        let program = Program::compile(text).expect("an expression");
        let bound: Vec<Context> = events.iter().map(|event| variables(event, kind)).collect();
        group.bench_function(text, |bencher| {
            bencher
                .iter(|| bound.iter().filter(|context| program.execute(black_box(context)) == Ok(true.into())).count());
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    targets = predicates
}
criterion_main!(benches);
