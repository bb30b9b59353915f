//! A short run of `examples/fuzz.rs`: changed records are decided as by the slow and independent ways.

#[path = "../examples/fuzz/avro.rs"]
mod avro;
#[path = "../examples/fuzz/json.rs"]
mod json;
#[path = "../examples/fuzz/random.rs"]
mod random;
#[path = "../examples/fuzz/seeds.rs"]
mod seeds;

const SEED: u64 = 20_261_125;

#[test]
fn changed_json_is_decided_exactly_and_by_a_generic_reader_alike() {
    let mut fuzz = json::JsonFuzz::new(SEED, seeds::json());
    for _ in 0..100_000 {
        fuzz.step().unwrap_or_else(|difference| panic!("{difference}"));
    }
    // As many decisions of either kind, or nothing would be compared.
    assert!(fuzz.accepted > 50_000, "only {} accepted", fuzz.accepted);
}

#[test]
fn changed_avro_is_decided_as_by_apache_avro_and_the_exact_way() {
    let mut fuzz = avro::AvroFuzz::new(SEED);
    for _ in 0..30_000 {
        fuzz.step().unwrap_or_else(|difference| panic!("{difference}"));
    }
    assert!(fuzz.accepted > 5_000, "only {} accepted", fuzz.accepted);
    assert!(fuzz.stricter < 100, "{} rejected only by us", fuzz.stricter);
}
