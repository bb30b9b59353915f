//! Facts drawn from seeds: what is told is what the definitions say, in whatever order source partitions are read.

use std::collections::BTreeMap;

use crate::support::facts::json_of;
use crate::support::model::{self, Era, Told, line_of};
use crate::support::promises::{SLIS, definitions};
use crate::support::upstream::{Habits, Upstream};
use streamgauge_events::{Fact, Offset, topics};
use streamgauge_memory_log::SplitMix64;
use streamgauge_stage_slo::Objectives;

const SEEDS: u64 = 200;

/// The batches of each source partition, in order.
fn chains(seed: u64) -> Vec<Vec<Fact>> {
    let mut random = SplitMix64::new(seed);
    let habits = Habits::drawn(&mut random);
    let partitions = |random: &mut SplitMix64| 1 + random.below(3) as i32;
    let topics = [(topics::REQUESTS, partitions(&mut random)), (topics::SCORES, partitions(&mut random))];
    let mut upstream = Upstream::new(random.next_u64(), habits, &topics);
    let mut chains: BTreeMap<(String, i32), Vec<Fact>> = BTreeMap::new();
    let ends = random.chance(0.3);
    for _ in 0..80 + random.below(120) {
        file(upstream.batch(), &mut chains);
    }
    if ends {
        (0..upstream.sources()).for_each(|which| file(upstream.end(which), &mut chains));
    }
    chains.into_values().collect()
}

fn file(facts: Vec<Fact>, chains: &mut BTreeMap<(String, i32), Vec<Fact>>) {
    for fact in facts {
        let place = match &fact {
            Fact::Delta(delta) => (delta.source.clone(), delta.partition),
            Fact::Frontier(frontier) => (frontier.source.clone(), frontier.partition),
        };
        chains.entry(place).or_default().push(fact);
    }
}

/// In one order of many: record by record, and some partitions far ahead of others.
fn interleaved(chains: &[Vec<Fact>], random: &mut SplitMix64) -> Vec<(Offset, Fact)> {
    let mut rest: Vec<std::slice::Iter<'_, Fact>> = chains.iter().map(|chain| chain.iter()).collect();
    let mut facts = Vec::new();
    while !rest.is_empty() {
        let which = random.below(rest.len() as u64) as usize;
        for _ in 0..=*random.pick(&[0, 0, 2, 10, 200]) {
            let Some(fact) = rest[which].next() else {
                drop(rest.swap_remove(which));
                break;
            };
            facts.push((facts.len() as Offset * 2, fact.clone()));
        }
    }
    facts
}

fn found(facts: &[(Offset, Fact)]) -> Told {
    let topic_of = |sli: &str| SLIS.iter().find(|(name, ..)| *name == sli).expect("known").2.to_owned();
    let mut objectives = Objectives::new(&definitions(None), &topic_of).expect("they can be followed");
    let mut told = Told::new();
    for (offset, fact) in facts {
        objectives.observe(*offset, &json_of(fact)).expect("facts of the right form");
        objectives.advance(&mut |record| {
            told.entry((record.tenant.clone(), record.slo.clone())).or_default().push(line_of(&record));
        });
    }
    told
}

#[test]
fn what_is_told_is_what_the_definitions_say_in_any_order() {
    let (mut transitions, mut objectives) = (0, 0);
    for seed in 0..SEEDS {
        let chains = chains(seed);
        let mut random = SplitMix64::new(seed);
        let facts = interleaved(&chains, &mut random);
        let expected = model::told(&facts, &[Era { definitions: &definitions(None), until: Offset::MAX }]);
        same(&found(&facts), &expected, &format!("seed {seed}"));
        for order in 0..3 {
            let facts = interleaved(&chains, &mut random);
            same(&found(&facts), &expected, &format!("seed {seed}, order {order}"));
        }
        transitions += expected.values().map(Vec::len).sum::<usize>();
        objectives += expected.len();
    }
    assert!(transitions > 5_000 && objectives > 500, "only {transitions} transitions of {objectives} objectives");
}

fn same(found: &Told, expected: &Told, what: &str) {
    let keys: std::collections::BTreeSet<_> = found.keys().chain(expected.keys()).collect();
    for key in keys {
        let none = Vec::new();
        let (found, expected) = (found.get(key).unwrap_or(&none), expected.get(key).unwrap_or(&none));
        let at = found.iter().zip(expected).take_while(|(found, expected)| found == expected).count();
        assert!(
            found == expected,
            "{what}: {key:?}: of {} and {} transitions, the one of number {at} is\n  {:?}\nbut by the definitions\n  {:?}",
            found.len(),
            expected.len(),
            found.get(at),
            expected.get(at)
        );
    }
}
