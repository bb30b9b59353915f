//! The audit is silent about what the stage writes, and names each kind of damage.

mod written;

use proptest::prelude::*;
use streamgauge_events::{DeadLetter, Delta, Fact, Frontier};
use streamgauge_windows::report::Kind;
use streamgauge_windows::{Audit, Report};

use written::{Input, LAYOUT, Layout, Random, Written, input, write};

/// Facts of output partitions in turn, one at a time, as `random` says; letters somewhere between.
fn audit(written: &Written, random: &mut Random) -> Report {
    let mut audit = Audit::new();
    open(&mut audit, written);
    feed(&mut audit, written, random);
    audit.require_all();
    assert!(audit.problems_total() > 0 || audit.held() == 0, "what is proven is dropped");
    audit.report()
}

fn open(audit: &mut Audit, written: &Written) {
    for (lane, facts) in &written.facts {
        audit.output_partition(*lane, 0, facts.len() as i64);
    }
}

fn feed(audit: &mut Audit, written: &Written, random: &mut Random) {
    let mut lanes: Vec<(i32, std::slice::Iter<Vec<u8>>)> =
        written.facts.iter().map(|(lane, facts)| (*lane, facts.iter())).collect();
    let mut letters = written.letters.iter();
    while !lanes.is_empty() {
        if random.below(4) == 0
            && let Some(letter) = letters.next()
        {
            audit.dead_letter(0, letter);
        }
        let at = random.below(lanes.len() as u64) as usize;
        match lanes[at].1.next() {
            Some(fact) => audit.fact(lanes[at].0, fact),
            None => drop(lanes.remove(at)),
        }
    }
    letters.for_each(|letter| audit.dead_letter(0, letter));
}

fn inputs(seed: u64) -> Vec<Input> {
    let mut random = Random(seed);
    (0..2).map(|_| input(&mut random, 200, 200)).collect()
}

fn records(inputs: &[Input]) -> u64 {
    inputs.iter().map(|input| input.len() as u64).sum()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn what_the_stage_writes_is_clean(
        seed: u64, cells_max in 1..60_usize, output_partitions in 1..5, end: bool, check_source: bool,
    ) {
        let inputs = inputs(seed);
        let written = write(&inputs, Layout { cells_max, output_partitions, end, ..LAYOUT });
        let mut random = Random(seed);
        let mut audit = Audit::new();
        open(&mut audit, &written);
        if check_source {
            for (partition, input) in inputs.iter().enumerate() {
                audit.input_begins("requests", partition as i32, 0);
                if partition == 0 {
                    input.iter().for_each(|(offset, _)| audit.input_record("requests", 0, *offset));
                }
            }
        }
        feed(&mut audit, &written, &mut random);
        if check_source {
            inputs[1].iter().for_each(|(offset, _)| audit.input_record("requests", 1, *offset));
        }
        audit.require(&audit.mark());
        audit.require(&audit.mark());
        let report = audit.report();
        prop_assert_eq!(&report.problems, &vec![]);
        prop_assert_eq!(report.produced, report.counted + report.dead_lettered + report.lost + report.open);
        if end {
            prop_assert_eq!(report.produced, records(&inputs));
            prop_assert_eq!(report.dead_lettered, written.letters.len() as u64);
            prop_assert_eq!(report.dead_letters_matched, report.dead_lettered);
            prop_assert_eq!((report.open, report.lost, report.repeated), (0, 0, 0));
            prop_assert_eq!(report.source_checked, check_source.then_some(records(&inputs)));
        }
    }
}

/// Damages one fact: the first that `pick` chooses.
fn damaged(change: impl FnOnce(&mut Vec<Fact>)) -> Report {
    let written = write(&inputs(11), Layout { output_partitions: 1, ..LAYOUT });
    let mut facts: Vec<Fact> = written.facts[&0].iter().map(|fact| Fact::from_json(fact).expect("a fact")).collect();
    change(&mut facts);
    let bytes = facts.iter().map(|fact| match fact {
        Fact::Delta(delta) => delta.to_json(),
        Fact::Frontier(frontier) => frontier.to_json(),
    });
    audit(&Written { facts: [(0, bytes.collect())].into(), letters: written.letters.clone() }, &mut Random(1))
}

fn is_of(fact: &Fact, partition: i32, batch: u64) -> bool {
    match fact {
        Fact::Delta(delta) => (delta.partition, delta.batch) == (partition, batch),
        Fact::Frontier(frontier) => (frontier.partition, frontier.batch) == (partition, batch),
    }
}

fn frontier_of(facts: &mut [Fact], partition: i32, batch: u64) -> (usize, &mut Frontier) {
    let found = facts.iter_mut().enumerate().find_map(|(at, fact)| match fact {
        Fact::Frontier(frontier) if (frontier.partition, frontier.batch) == (partition, batch) => Some((at, frontier)),
        _ => None,
    });
    found.expect("the batch exists")
}

fn delta_of(facts: &mut [Fact], partition: i32, batch: u64) -> (usize, &mut Delta) {
    let found = facts.iter_mut().enumerate().find_map(|(at, fact)| match fact {
        Fact::Delta(delta) if (delta.partition, delta.batch) == (partition, batch) => Some((at, delta)),
        _ => None,
    });
    found.expect("the batch has a delta")
}

/// The problems, one a line, and that they are told with an exit code.
fn problems(report: &Report) -> String {
    assert_eq!(report.clean, report.problems_total == 0);
    report.problems.iter().map(|problem| format!("{problem}\n")).collect()
}

#[test]
fn undamaged_is_clean() {
    let report = damaged(|_| ());
    assert_eq!(problems(&report), "");
    assert_eq!(report.produced, 400);
    expect_test::expect![[r#"
        requests/0: offsets 0 to 223, 22 batches: 200 read = 188 counted + 12 dead-lettered + 0 lost + 0 open
        requests/1: offsets 0 to 220, 22 batches: 200 read = 193 counted + 7 dead-lettered + 0 lost + 0 open
        total: 400 records read = 381 counted + 19 dead-lettered + 0 lost + 0 still open
        clean: every record was counted once, or has one dead letter"#]]
    .assert_eq(&report.to_string());
}

#[test]
fn a_dropped_delta_is_found() {
    let report = damaged(|facts| {
        let (at, _) = delta_of(facts, 1, 5);
        facts.remove(at);
    });
    expect_test::expect![[r#"
        requests/1: batch 5 has 9 deltas, its frontier says 10
        requests/1: batch 5 doesn't add up: by its records and deltas 5 events are still open, it says 4
    "#]]
    .assert_eq(&problems(&report));
}

#[test]
fn a_repeated_delta_is_found() {
    let report = damaged(|facts| {
        let (at, delta) = delta_of(facts, 1, 5);
        let again = Fact::Delta(delta.clone());
        facts.insert(at, again);
    });
    expect_test::expect![[r#"
        requests/1: batch 5 has a series of __other__ twice in pane 1767225630000000
        requests/1: batch 5 has 11 deltas, its frontier says 10
        requests/1: batch 5 doesn't add up: by its records and deltas 3 events are still open, it says 4
    "#]]
    .assert_eq(&problems(&report));
}

#[test]
fn a_repeated_batch_is_found() {
    let report = damaged(|facts| {
        let batch: Vec<Fact> = facts.iter().filter(|fact| is_of(fact, 0, 4)).cloned().collect();
        let (at, _) = frontier_of(facts, 0, 6);
        facts.splice(at + 1..at + 1, batch);
    });
    assert!(report.repeated > 0 && report.produced == 400, "repeats are not produced again");
    expect_test::expect![[r#"
        requests/0: repeat: batch 4 (10 records) was written again to output partition 0
    "#]]
    .assert_eq(&problems(&report));
}

#[test]
fn a_hole_is_found() {
    let report = damaged(|facts| facts.retain(|fact| !is_of(fact, 0, 4)));
    expect_test::expect![[r#"
        requests/0: hole: batch 5 follows batch 3; offsets 33 to 44 are in no batch
    "#]]
    .assert_eq(&problems(&report));
}

#[test]
fn a_missing_beginning_is_found() {
    let report = damaged(|facts| facts.retain(|fact| !is_of(fact, 0, 0)));
    expect_test::expect![[r#"
        requests/0: hole: the chain begins with batch 1 at offset 1, though nothing was deleted before it
    "#]]
    .assert_eq(&problems(&report));
}

#[test]
fn a_missing_end_is_found() {
    let report = damaged(|facts| {
        let last = facts.iter().rposition(|fact| matches!(fact, Fact::Frontier(_))).expect("frontiers");
        facts.remove(last);
    });
    expect_test::expect![[r#"
        requests/1: 5 deltas of batch 21 have no frontier
    "#]]
    .assert_eq(&problems(&report));
}

#[test]
fn an_altered_count_is_found() {
    let report = damaged(|facts| delta_of(facts, 0, 3).1.n += 1);
    expect_test::expect![[r#"
        requests/0: batch 3 doesn't add up: by its records and deltas 4 events are still open, it says 5
    "#]]
    .assert_eq(&problems(&report));
    let report = damaged(|facts| frontier_of(facts, 0, 3).1.records += 1);
    expect_test::expect![[r#"
        requests/0: batch 3 doesn't add up: by its records and deltas 6 events are still open, it says 5
    "#]]
    .assert_eq(&problems(&report));
}

#[test]
fn a_delta_that_contradicts_itself_is_found() {
    let report = damaged(|facts| {
        let (_, delta) = delta_of(facts, 0, 3);
        delta.good = delta.n + 1;
    });
    expect_test::expect![[r#"
        requests/0: batch 3: the delta of __other__ in pane 1767225610000000 contradicts itself: 3 good and 0 unjudged among 2 events
    "#]].assert_eq(&problems(&report));
}

#[test]
fn a_frontier_before_its_deltas_is_found() {
    let report = damaged(|facts| {
        let (at, _) = frontier_of(facts, 0, 3);
        let frontier = facts.remove(at);
        let (first, _) = delta_of(facts, 0, 3);
        facts.insert(first, frontier);
    });
    assert!(problems(&report).contains("stand behind its frontier"), "{}", problems(&report));
}

#[test]
fn a_lost_range_is_told() {
    let report = damaged(|facts| {
        let (_, frontier) = frontier_of(facts, 0, 3);
        frontier.lost.push((7, 9));
    });
    assert_eq!((report.lost, report.lost_offsets), (0, 2));
    expect_test::expect![[r#"
        requests/0: lost: batch 3 says that offsets 7 to 9, with 0 events already read, had left the log before they were counted
    "#]].assert_eq(&problems(&report));
}

#[test]
fn an_overlap_of_generations_is_found() {
    let report = damaged(|facts| {
        let (_, last) = frontier_of(facts, 0, 3);
        let mut again = last.clone();
        (again.generation, again.batch, again.lost) = (1, 0, Vec::new());
        let end =
            facts.iter().rposition(|fact| matches!(fact, Fact::Frontier(f) if f.partition == 0)).expect("frontiers");
        facts.insert(end + 1, Fact::Frontier(again));
    });
    assert!(problems(&report).contains("overlap: batch 0 of generation 1 counts offsets"), "{}", problems(&report));
}

fn three_partitions(change: impl FnOnce(&mut Vec<Vec<u8>>)) -> Report {
    let mut written = write(&inputs(11), LAYOUT);
    change(written.facts.get_mut(&2).expect("three output partitions"));
    audit(&written, &mut Random(3))
}

fn frontier_in(facts: &[Vec<u8>], batch: u64) -> (usize, Frontier) {
    let found = facts.iter().enumerate().find_map(|(at, fact)| match Fact::from_json(fact) {
        Ok(Fact::Frontier(frontier)) if frontier.batch == batch => Some((at, frontier)),
        _ => None,
    });
    found.expect("the batch exists")
}

#[test]
fn a_frontier_missing_in_one_output_partition_is_found() {
    let report = three_partitions(|facts| {
        facts.remove(frontier_in(facts, 4).0);
    });
    expect_test::expect![[r#"
        requests/0: the frontier of batch 4 is missing in output partition 2
    "#]]
    .assert_eq(&problems(&report));
    let report = three_partitions(|facts| {
        facts.remove(facts.len() - 1);
    });
    expect_test::expect![[r#"
        requests/1: the frontier of batch 21 is missing in output partition 2
    "#]]
    .assert_eq(&problems(&report));
}

#[test]
fn a_frontier_that_reads_otherwise_in_one_output_partition_is_found() {
    let report = three_partitions(|facts| {
        let (at, mut frontier) = frontier_in(facts, 4);
        frontier.records += 1;
        facts[at] = frontier.to_json();
    });
    assert!(
        problems(&report).contains("the frontier of batch 4 reads otherwise in output partition"),
        "{}",
        problems(&report)
    );
}

fn with_letters(change: impl FnOnce(&mut Vec<DeadLetter>)) -> Report {
    let mut written = write(&inputs(11), LAYOUT);
    let mut letters: Vec<DeadLetter> =
        written.letters.iter().map(|letter| serde_json::from_slice(letter).expect("a dead letter")).collect();
    change(&mut letters);
    written.letters = letters.iter().map(DeadLetter::to_json).collect();
    audit(&written, &mut Random(5))
}

#[test]
fn a_dead_letter_twice_is_found() {
    let report = with_letters(|letters| letters.insert(4, letters[3].clone()));
    expect_test::expect![[r#"
        requests/0: offset 103 is in dead-letters twice
    "#]]
    .assert_eq(&problems(&report));
    let report = with_letters(|letters| letters.push(letters[0].clone()));
    expect_test::expect![[r#"
        requests/0: offset 28 is in dead-letters twice
    "#]]
    .assert_eq(&problems(&report));
}

#[test]
fn a_missing_dead_letter_is_found() {
    let report = with_letters(|letters| {
        letters.remove(3);
    });
    expect_test::expect![[r#"
        requests/0: batch 10 (offsets 103 to 112) says 1 dead letters, dead-letters holds 0
    "#]]
    .assert_eq(&problems(&report));
}

#[test]
fn a_dead_letter_that_no_frontier_counts_is_found() {
    let report = with_letters(|letters| {
        let (before, after) = (letters[3].offset, letters[4].offset);
        let mut extra = letters[3].clone();
        extra.offset = before + 1;
        assert!(extra.offset < after);
        letters.insert(4, extra);
    });
    let only = &report.problems[..];
    assert!(
        matches!(
            only.iter().map(|p| &p.kind).collect::<Vec<_>>()[..],
            [Kind::DeadLetterUndeclared { .. } | Kind::DeadLetters { .. }]
        ),
        "{}",
        problems(&report)
    );
}

#[test]
fn a_dead_letter_behind_the_last_batch_is_found() {
    let report = with_letters(|letters| {
        let mut extra = letters[letters.len() - 1].clone();
        extra.offset = 1_000_000;
        letters.push(extra);
    });
    assert_eq!(problems(&report), "requests/1: offset 1000000 is in dead-letters, but no frontier counts it there\n");
}

#[test]
fn records_that_the_input_lacks_or_has_more_of_are_found() {
    let inputs = inputs(11);
    let written = write(&inputs, LAYOUT);
    let check = |offsets: &mut dyn Iterator<Item = i64>| {
        let mut audit = Audit::new();
        open(&mut audit, &written);
        audit.input_begins("requests", 0, 0);
        feed(&mut audit, &written, &mut Random(2));
        offsets.for_each(|offset| audit.input_record("requests", 0, offset));
        audit.require_all();
        problems(&audit.report())
    };
    let all: Vec<i64> = inputs[0].iter().map(|(offset, _)| *offset).collect();
    assert_eq!(check(&mut all.iter().copied()), "");
    expect_test::expect![[r#"
        requests/0: batch 6 says 12 records in offsets 52 to 68, the log holds 11
    "#]]
    .assert_eq(&check(&mut all.iter().copied().filter(|offset| *offset != all[50])));
    let gap = all.windows(2).find(|pair| pair[1] > pair[0] + 1).expect("offsets jump")[0] + 1;
    let mut more = all.clone();
    more.push(gap);
    more.sort_unstable();
    expect_test::expect![[r#"
        requests/0: batch 2 says 14 records in offsets 8 to 24, the log holds 15
    "#]]
    .assert_eq(&check(&mut more.into_iter()));
}

/// A topic whose beginning has been deleted proves what is left.
#[test]
fn logs_cut_off_at_their_beginnings_are_clean_from_the_first_whole_batch_on() {
    let inputs = inputs(11);
    let written = write(&inputs, LAYOUT);
    for order in 0..3 {
        let mut audit = Audit::new();
        for (lane, facts) in &written.facts {
            audit.output_partition(*lane, 20, 20 + facts.len() as i64);
        }
        audit.dead_letters_begin(1);
        let input_start = inputs[1][120].0;
        audit.input_begins("requests", 1, input_start);
        for step in 0..3 {
            match (step + order) % 3 {
                0 => {
                    for (lane, facts) in &written.facts {
                        let skip = facts.len() / 4 + 3 * *lane as usize;
                        facts[skip..].iter().for_each(|fact| audit.fact(*lane, fact));
                    }
                }
                1 => written.letters[2..].iter().for_each(|letter| audit.dead_letter(0, letter)),
                _ => inputs[1][120..].iter().for_each(|(offset, _)| audit.input_record("requests", 1, *offset)),
            }
        }
        audit.require(&audit.mark());
        audit.require(&audit.mark());
        let report = audit.report();
        assert_eq!(problems(&report), "", "order {order}");
        assert!(report.batches > 20 && report.source_checked.is_some_and(|checked| checked > 50), "{report}");
        assert_eq!(
            report.produced + report.open_before,
            report.counted + report.dead_lettered + report.lost + report.open
        );
    }
}

#[test]
fn memory_does_not_grow_with_what_is_proven() {
    let inputs: Vec<Input> = vec![input(&mut Random(3), 3000, 3000)];
    let written = write(&inputs, Layout { output_partitions: 1, ..LAYOUT });
    let mut audit = Audit::new();
    open(&mut audit, &written);
    written.letters.iter().for_each(|letter| audit.dead_letter(0, letter));
    let mut held = 0;
    for fact in &written.facts[&0] {
        audit.fact(0, fact);
        held = held.max(audit.held());
    }
    assert!(audit.report().batches > 250 && held <= 1, "{held} parts of batches held");
}
