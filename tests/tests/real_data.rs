//! Public data with known truth, backfilled from files.

use streamgauge_tests::real_data::{access_log, check_access_log, check_nezha, check_petshop, data, nezha, petshop};

#[test]
fn the_front_ends_bad_minutes_are_found_and_no_others() -> anyhow::Result<()> {
    let Some(data) = data("nezha", "the_front_ends_bad_minutes_are_found_and_no_others") else { return Ok(()) };
    let scratch = tempfile::tempdir()?;
    check_nezha(&nezha(&data, scratch.path())?.backfill(&scratch.path().join("out"))?)
}

#[test]
fn every_line_of_the_access_log_counts_by_its_status() -> anyhow::Result<()> {
    let Some(data) = data("elastic_apache", "every_line_of_the_access_log_counts_by_its_status") else { return Ok(()) };
    let scratch = tempfile::tempdir()?;
    check_access_log(&access_log(&data, scratch.path())?.backfill(&scratch.path().join("out"))?)
}

#[test]
fn the_services_of_a_wide_table_count_each_for_itself() -> anyhow::Result<()> {
    let Some(data) = data("petshop", "the_services_of_a_wide_table_count_each_for_itself") else { return Ok(()) };
    let scratch = tempfile::tempdir()?;
    check_petshop(&petshop(&data).backfill(&scratch.path().join("out"))?)
}
