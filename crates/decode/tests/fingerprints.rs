//! Fingerprints are those of Avro's specification, whatever wrote the schema: by them records of other languages are known.

use streamgauge_decode::{AvroSchemas, Framing, schemas};
use streamgauge_events::Kind;

/// CRC-64-AVRO of a canonical form, as the specification writes it.
fn crc_64_avro(canonical: &str) -> u64 {
    const EMPTY: u64 = 0xc15d_213a_a4d7_a795;
    let entry = |byte: u64| (0..8).fold(byte, |crc, _| (crc >> 1) ^ (EMPTY & (crc & 1).wrapping_neg()));
    canonical.bytes().fold(EMPTY, |crc, byte| (crc >> 8) ^ entry((crc ^ u64::from(byte)) & 0xff))
}

fn keys(kind: Kind, schema: &str) -> Vec<u64> {
    let schemas = AvroSchemas::new(kind, Framing::SingleObject, &[(None, schema)]).unwrap_or_else(|e| panic!("{e}"));
    schemas.keys().map(|key| key.0).collect()
}

fn record(fields: &str) -> String {
    let service = r#"{"name":"service","type":"string"}"#;
    format!(r#"{{"name":"T","type":"record","fields":[{service},{fields}]}}"#)
}

#[test]
fn a_schema_without_logical_types_has_the_fingerprint_of_the_specification() {
    assert_eq!(crc_64_avro(r#""int""#), 0x7275_d51a_3f39_5c8f);
    let canonical =
        record(r#"{"name":"ts","type":"long"},{"name":"x","type":{"name":"a.E","type":"enum","symbols":["X"]}}"#);
    let written = record(
        r#"{"type":{"type":"long"},"name":"ts","doc":"d"},
           {"name":"x","type":{"type":"enum","name":"E","namespace":"a","symbols":["X"],"default":"X"}}"#,
    );
    assert_eq!(keys(Kind::Request, &written), [crc_64_avro(&canonical)]);
}

/// "PRIMITIVES: convert primitive schemas to their simple form. STRIP: keep only type, name, fields, symbols, items,
/// values, size." Java, C++, Go and fastavro all write `"long"` for a `timestamp-micros`.
#[test]
fn logical_types_are_no_part_of_a_fingerprint() {
    let ts = r#"{"name":"ts","type":"long"}"#;
    for (written, canonical) in [
        (r#"{"name":"ts","type":{"type":"long","logicalType":"timestamp-micros"}}"#.to_owned(), ts.to_owned()),
        (
            format!(r#"{ts},{{"name":"day","type":["null",{{"type":"int","logicalType":"date"}}]}}"#),
            format!(r#"{ts},{{"name":"day","type":["null","int"]}}"#),
        ),
        (
            format!(
                r#"{ts},{{"name":"sum","type":{{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}}}}"#
            ),
            format!(r#"{ts},{{"name":"sum","type":"bytes"}}"#),
        ),
        (
            format!(r#"{ts},{{"name":"id","type":{{"type":"string","logicalType":"uuid"}}}}"#),
            format!(r#"{ts},{{"name":"id","type":"string"}}"#),
        ),
        (
            format!(r#"{ts},{{"name":"x","type":"int","order":"ignore"}}"#),
            format!(r#"{ts},{{"name":"x","type":"int"}}"#),
        ),
    ] {
        let expected = crc_64_avro(&record(&canonical));
        assert!(keys(Kind::Request, &record(&written)).contains(&expected), "{written}");
    }
}

/// As fastavro 1.x and Java's `SchemaNormalization.parsingFingerprint64` have it.
#[test]
fn our_own_schema_has_the_fingerprint_that_other_writers_give_it() {
    let keys = keys(Kind::Request, schemas::current(Kind::Request));
    assert!(keys.contains(&0x57fc_cc57_b405_5fc4), "{keys:x?}");
}
