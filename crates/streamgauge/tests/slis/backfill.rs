//! `streamgauge backfill --out`: results of one backfill are never mixed with those of another.

use std::fs::File;

use expect_test::expect;

use crate::program::Files;

const REQUESTS: &str = "{\"ts\":1767607201000000,\"service\":\"checkout\",\"status\":200}\n";
const SCORES: &str = "{\"ts\":1767607201000000,\"service\":\"checkout\",\"metric\":\"rating\",\"value\":4}\n";

const OF_REQUESTS: &str = "backfill --quiet --event request --input requests.jsonl --out out";
const OF_SCORES: &str = "backfill --quiet --event score --input scores.jsonl --out out";

fn files() -> Files {
    Files::new(&[("requests.jsonl", REQUESTS), ("scores.jsonl", SCORES)])
}

/// What lies in the directory, by name.
fn names(files: &Files) -> Vec<String> {
    let entries = std::fs::read_dir(files.path("out")).expect("a backfill made it");
    let name = |entry: std::io::Result<std::fs::DirEntry>| entry.map(|entry| entry.file_name().display().to_string());
    let mut names: Vec<String> = entries.map(name).collect::<Result<_, _>>().expect("a directory of ours");
    names.sort();
    names
}

#[test]
fn each_kind_of_event_has_a_directory_of_its_own() {
    let files = files();
    files.check(
        OF_REQUESTS,
        expect![[r#"
        0
    "#]],
    );
    let before = std::fs::read(files.path("out/sli.windows.jsonl")).expect("the backfill wrote it");
    files.check(OF_SCORES, expect![[r#"
        2
        ---
        streamgauge: out/sli.windows.jsonl exists: choose another --out, since each backfill has a directory of its own, or say --overwrite to replace the results in out
    "#]]);
    assert_eq!(std::fs::read(files.path("out/sli.windows.jsonl")).expect("nobody removed it"), before);
    let results = ["dead-letters.jsonl", "sli.state.jsonl", "sli.windows.jsonl"];
    assert_eq!(names(&files), results);
    files.check(
        &format!("{OF_SCORES} --overwrite"),
        expect![[r#"
        0
    "#]],
    );
    files.check("windows --input out --window 60s --csv", expect![[r#"
        0
        sli,metric,service,start,end,good,total,failed,unjudged,p50_us_lower,p50_us_upper,p95_us_lower,p95_us_upper,p99_us_lower,p99_us_upper,value_count,value_sum,value_sum_of_squares,value_min,value_max,value_last,coverage,complete
        scores,rating,checkout,2026-01-05T10:00:00Z,2026-01-05T10:01:00Z,1,1,0,0,,,,,,,1,4000000,16000000000000,4000000,4000000,4000000,full,true
    "#]]);
    // One of the results is enough to be refused, and nothing is left beside it.
    std::fs::remove_file(files.path("out/sli.windows.jsonl")).expect("the backfill wrote it");
    files.check(OF_REQUESTS, expect![[r#"
        2
        ---
        streamgauge: out/dead-letters.jsonl exists: choose another --out, since each backfill has a directory of its own, or say --overwrite to replace the results in out
    "#]]);
    assert_eq!(names(&files), results[..2]);
}

#[test]
fn two_backfills_do_not_write_to_one_directory_at_once() {
    let files = files();
    std::fs::create_dir(files.path("out")).expect("a place for temporary files");
    let writing = File::open(files.path("out")).expect("it was just made");
    writing.lock().expect("a file system with locks");
    files.check(
        OF_REQUESTS,
        expect![[r#"
        2
        ---
        streamgauge: another backfill is writing to out: choose another --out, or wait for its end
    "#]],
    );
    files.check(
        &format!("{OF_REQUESTS} --overwrite"),
        expect![[r#"
        2
        ---
        streamgauge: another backfill is writing to out: choose another --out, or wait for its end
    "#]],
    );
    assert_eq!(names(&files), [""; 0]);
    drop(writing);
    files.check(
        OF_REQUESTS,
        expect![[r#"
        0
    "#]],
    );
}
