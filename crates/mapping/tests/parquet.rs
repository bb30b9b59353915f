//! Small Parquet files, written by the library's own writer: what each row becomes, and what becomes of damaged files.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use expect_test::expect;
use parquet::basic::Compression;
use parquet::data_type::{
    BoolType, ByteArray, ByteArrayType, DoubleType, FixedLenByteArray, FixedLenByteArrayType, Int32Type, Int64Type,
    Int96, Int96Type,
};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use streamgauge_mapping::{Counts, MappedFile, Mapping, infer};

const SCHEMA: &str = "
message rows {
  required int64 at (TIMESTAMP(MICROS, true));
  required binary service (UTF8);
  optional double took;
  optional boolean ok;
  optional int32 cost (DECIMAL(9, 2));
  optional fixed_len_byte_array(3) wide (DECIMAL(6, 1));
  optional int96 old;
  required group more { optional int32 status; }
  repeated int32 list;
}
";

const MAPPING: &str = "
apiVersion: streamgauge/v1
kind: Mapping
event: requests
format: parquet
fields:
  ts: { column: at, format: rfc3339 }
  service: { column: service }
  latency_us: { column: took, unit: ms, optional: true }
  ok: { column: ok, optional: true }
  status: { column: more.status, optional: true }
  attributes.cost: { column: cost, optional: true }
  attributes.wide: { column: wide, optional: true }
  attributes.old: { column: old, optional: true }
";

/// Writes the levels and values of one column.
macro_rules! write {
    ($group:expr, $type:ty, $values:expr, $levels:expr, $repeats:expr) => {{
        let mut column = $group.next_column().expect("memory can be written").expect("the schema has this column");
        column.typed::<$type>().write_batch($values, $levels, $repeats).expect("values of this type");
        column.close().expect("memory can be written");
    }};
}

fn group(group: &mut SerializedRowGroupWriter<'_, File>, first_us: i64) {
    let some = Some(&[1_i16, 0, 1][..]);
    let text = |text: &str| ByteArray::from(text.as_bytes().to_vec());
    write!(group, Int64Type, &[first_us, first_us + 1, first_us + 2], None, None);
    write!(group, ByteArrayType, &[text("shop"), text(""), text("a\"b")], None, None);
    write!(group, DoubleType, &[0.1 + 0.2, f64::NAN], some, None);
    write!(group, BoolType, &[true, false], some, None);
    write!(group, Int32Type, &[-1234, 5], some, None);
    let bytes = |bytes: [u8; 3]| FixedLenByteArray::from(bytes.to_vec());
    write!(group, FixedLenByteArrayType, &[bytes([0xff, 0xff, 0xfe]), bytes([0, 1, 0])], some, None);
    let mut old = Int96::new();
    old.set_data(1, 0, 2_440_589);
    write!(group, Int96Type, &[old, old], some, None);
    write!(group, Int32Type, &[200, 503], some, None);
    write!(group, Int32Type, &[1, 2, 3], Some(&[1, 1, 0, 1]), Some(&[0, 1, 0, 0]));
}

fn written(directory: &Path, compression: Compression, groups: i64) -> PathBuf {
    let path = directory.join("rows.parquet");
    let schema = Arc::new(parse_message_type(SCHEMA).expect("a schema of these tests"));
    let properties = Arc::new(WriterProperties::builder().set_compression(compression).build());
    let file = File::create(&path).expect("a place for temporary files");
    let mut writer = SerializedFileWriter::new(file, schema, properties).expect("a place for temporary files");
    for index in 0..groups {
        let mut row_group = writer.next_row_group().expect("a place for temporary files");
        group(&mut row_group, 1_661_140_980_000_000 + 3 * index);
        row_group.close().expect("a place for temporary files");
    }
    writer.close().expect("a place for temporary files");
    path
}

fn mapping() -> Mapping {
    Mapping::from_yaml("mapping.yaml", MAPPING).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn values_of_every_type_row_group_by_row_group() {
    let directory = tempfile::tempdir().expect("a place for temporary files");
    let mapping = mapping();
    for compression in [Compression::UNCOMPRESSED, Compression::SNAPPY, Compression::ZSTD(Default::default())] {
        let path = written(directory.path(), compression, 2);
        let mut file = MappedFile::open(&path, &mapping).unwrap_or_else(|error| panic!("{error}"));
        let mut shown = Vec::new();
        for record in &mut file {
            let record = record.unwrap_or_else(|error| panic!("{error}"));
            shown.push(match record.event {
                Ok(event) => format!("{} {}", record.line, String::from_utf8_lossy(&event.to_json())),
                Err(rejection) => {
                    format!("{} {rejection}\n  {}", record.line, String::from_utf8_lossy(&record.raw))
                }
            });
        }
        assert_eq!(file.counts(), Counts { rows: 6, records: 6, rejected: 4, events: 2, ..Counts::default() });
        assert_eq!(Some(file.bytes_read()), file.bytes_total());
        expect![[r#"
            1 {"ts":1661140980000000,"service":"shop","status":200,"ok":true,"latency_us":300,"attributes":{"cost":"-12.34","old":"1970-01-02T00:00:00.000000001Z","wide":"-0.2"}}
            2 unmapped: service: column `service` is ``, which is empty; expected the name of a service
              {"at":"2022-08-22T04:03:00.000001Z","cost":null,"more.status":null,"ok":null,"old":null,"service":"","took":null,"wide":null}
            3 unmapped: latency_us: column `took` is `NaN`, which is not a decimal number; expected a duration in ms
              {"at":"2022-08-22T04:03:00.000002Z","cost":"0.05","more.status":"503","ok":"false","old":"1970-01-02T00:00:00.000000001Z","service":"a\"b","took":"NaN","wide":"25.6"}"#]]
        .assert_eq(&shown[..3].join("\n"));
    }
}

#[test]
fn columns_that_are_missing_are_named() {
    let directory = tempfile::tempdir().expect("a place for temporary files");
    let path = written(directory.path(), Compression::UNCOMPRESSED, 1);
    let mapping = Mapping::from_yaml("mapping.yaml", &MAPPING.replace("column: took", "column: tok")).expect("valid");
    let Err(error) = MappedFile::open(&path, &mapping) else { panic!("no error") };
    let shown = error.to_string().replace(&path.display().to_string(), "rows.parquet");
    expect!["rows.parquet:1: no column `tok`, which mapping.yaml asks for; the header has: `at`, `service`, `took`, `ok`, `cost`, `wide`, `old`, `more.status`. Did you mean `ok`?"].assert_eq(&shown);
}

/// Wherever a byte is wrong, or the file ends, there is an error or there are rows; never a panic that gets out.
#[test]
fn damaged_files_are_errors() {
    std::panic::set_hook(Box::new(|_| {}));
    let directory = tempfile::tempdir().expect("a place for temporary files");
    let path = written(directory.path(), Compression::SNAPPY, 2);
    let whole = std::fs::read(&path).expect("a file that was just written");
    let mapping = mapping();
    let mut errors = 0;
    let mut read = |bytes: &[u8]| {
        std::fs::write(&path, bytes).expect("a place for temporary files");
        let Ok(file) = MappedFile::open(&path, &mapping) else { return errors += 1 };
        errors += i32::from(file.take(1000).any(|record| record.is_err()));
    };
    for at in (0..whole.len()).step_by(7) {
        for flip in [0x01, 0x80, 0xff] {
            let mut damaged = whole.clone();
            damaged[at] ^= flip;
            read(&damaged);
        }
    }
    for end in (0..whole.len()).step_by(29) {
        read(&whole[..end]);
    }
    let _ = std::panic::take_hook();
    assert!(errors > 100, "only {errors} errors");
    std::fs::write(&path, b"a,b\n1,2\n").expect("a place for temporary files");
    let Err(error) = MappedFile::open(&path, &mapping) else { panic!("no error") };
    assert!(error.to_string().contains("the Parquet file is damaged, or of a kind that can't be read"), "{error}");
}

#[test]
fn a_pipe_can_not_be_read_and_a_proposal_can_be_made() {
    let Err(error) = MappedFile::from_reader("-", std::io::empty(), &mapping()) else { panic!("no error") };
    assert_eq!(error.to_string(), "couldn't open -: Parquet is read from a file that lies on disk, not from a pipe");

    let directory = tempfile::tempdir().expect("a place for temporary files");
    let proposal = infer(&written(directory.path(), Compression::UNCOMPRESSED, 1), None).expect("a whole file");
    let fields = proposal.yaml.split("format: parquet\n").nth(1).expect("the format is told");
    expect![[r#"
        fields:
          # Times: all fit. CHECK: `old` would do, too
          ts: { column: at, format: rfc3339 }
          # By the name
          service: { column: service }
          # By the name, and all are integers from 0 to 999
          status: { column: more.status, optional: true }
          # By the name
          ok: { column: ok, map: { "true": true, "false": false }, optional: true }
          # A duration: CHECK the unit: the name says none, and half of the values are below 1
          latency_us: { column: took, unit: s, optional: true, null_values: ["", "NaN"] }
        # Not used. To keep one as a text, move its line to the fields:
        #   attributes.cost: { column: cost }   such as -12.34
        #   attributes.wide: { column: wide }   such as -0.2
    "#]]
    .assert_eq(fields);
}
