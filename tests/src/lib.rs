//! What the end-to-end tests share: the fault simulator and the truth that results are held against; a real broker and
//! the processes that are killed on it.

pub mod chaos;
pub mod clock;
pub mod cluster;
pub mod oracle;
pub mod real_data;
pub mod sim;
pub mod slo_sim;

/// Says in one line that a test is skipped, and why. Past the test harness, which keeps what a passing test prints to
/// itself: nobody may take a skipped test for one that ran.
pub fn skipped(why: &str) {
    use std::io::Write as _;
    // One write, so that lines of tests that run side by side don't mix. Nothing depends on its success.
    let _ = std::io::stderr().write_all(format!("SKIPPED: {why}\n").as_bytes());
}
