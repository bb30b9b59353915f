//! What two receivers are told, as tables. Alarms are letters, times seconds, and a resend is due every 60 of them.

use super::*;

const RESEND: Duration = Duration::from_secs(60);

fn at(secs: i64) -> Moment {
    Moment { wall: EventTime(secs * 1_000_000), elapsed: Duration::from_secs(secs.unsigned_abs()) }
}

fn record(alarm: &str, transition: &str, secs: i64, severity: Severity) -> AlertRecord {
    let example = include_str!("../../../../../schemas/alerts.example.jsonl").lines().next().unwrap_or_default();
    let mut record = AlertRecord::from_json(example.as_bytes()).expect("the example is an alert");
    record.transition = match transition {
        "pending" => Transition::Pending,
        "dropped" => Transition::Dropped,
        "fired" => Transition::Fired,
        _ => Transition::Resolved,
    };
    record.fingerprint = alarm.to_owned();
    record.id = format!("{alarm} {transition} {secs}");
    record.at = EventTime(secs * 1_000_000);
    record.severity = severity;
    record
}

/// Lines of `seconds word …`: `alarm transition event-time` notes a record; `told receiver …` lists what it takes; `away receiver …`
/// what it would have been told, had it answered; `left …` how many fire and are resolved after tidying.
#[track_caller]
fn check(script: &str) {
    let mut book = Book::new(2, RESEND);
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let now = at(words[0].parse().expect("a line begins with a time"));
        match words[1] {
            told @ ("told" | "away") => {
                let receiver = words[2].parse().expect("0 or 1");
                let due: Vec<(String, String)> = book
                    .due(receiver, now, 64)
                    .iter()
                    .map(|alarm| (alarm.fired.fingerprint.clone(), alarm.newest().id.clone()))
                    .collect();
                let shown: Vec<String> = due
                    .iter()
                    .map(|(alarm, id)| if id.contains("resolved") { format!("{alarm}-") } else { format!("{alarm}+") })
                    .collect();
                assert_eq!(shown.join(" "), words[3..].join(" "), "{line}");
                for (alarm, id) in due.iter().filter(|_| told == "told") {
                    book.taken(receiver, alarm, id, now);
                }
            }
            "left" => {
                book.tidy(now);
                let (firing, resolved) = book.counts();
                assert_eq!(format!("{firing} {resolved}"), words[2..].join(" "), "{line}");
            }
            alarm => {
                let event_time = words[3].parse().expect("a time");
                book.note(record(alarm, words[2], event_time, Severity::Critical), now);
            }
        }
    }
}

#[test]
fn what_fires_is_told_again_and_again() {
    check(
        "1000 a fired 990
         1000 told 0 a+
         1001 told 0
         1059 told 0
         1060 told 0 a+
         1060 told 1 a+
         1120 told 0 a+",
    );
}

#[test]
fn what_resolves_is_told_three_times() {
    check(
        "1000 a fired 990
         1000 told 0 a+
         1000 told 1 a+
         1010 a resolved 1005
         1010 told 0 a-
         1010 told 1 a-
         1070 told 0 a-
         1070 told 1 a-
         1130 told 0 a-
         1130 left 0 1
         1130 told 1 a-
         1130 left 0 0",
    );
}

#[test]
fn after_an_outage_the_newest_state_is_told() {
    check(
        "1000 a fired 990
         1000 b fired 990
         1000 away 0 a+ b+
         1020 a resolved 1015
         1030 b resolved 1020
         1040 b fired 1035
         1050 c fired 1045
         1060 told 0 a- b+ c+",
    );
}

/// Even if that receiver was never heard of again.
#[test]
fn what_resolved_is_let_go_after_a_quarter_of_an_hour() {
    check(
        "1000 a fired 990
         1000 away 0 a+
         1010 a resolved 1005
         1909 left 0 1
         1910 left 0 0",
    );
}

/// A process that starts reads all of the past, and doesn't tell it.
#[test]
fn the_past_is_not_told() {
    check(
        "9000 a pending 10
         9000 a fired 20
         9000 a resolved 30
         9000 b fired 8500
         9000 b resolved 8600
         9000 c fired 40
         9000 d pending 50
         9000 d dropped 60
         9000 told 0 b- c+",
    );
}

#[test]
fn old_records_and_strangers_change_nothing() {
    check(
        "1000 a resolved 990
         1000 told 0
         1000 a fired 991
         1000 told 0 a+
         1001 a resolved 995
         1001 a fired 991
         1001 told 0 a-",
    );
}

/// While it was being told that it fires, it resolved: the answer is to the first.
#[test]
fn an_answer_counts_for_what_was_said() {
    let mut book = Book::new(1, RESEND);
    book.note(record("a", "fired", 990, Severity::Critical), at(1000));
    let id = book.due(0, at(1000), 64)[0].newest().id.clone();
    book.note(record("a", "resolved", 995, Severity::Critical), at(1001));
    book.taken(0, "a", &id, at(1002));
    assert!(book.has_news(0));
    assert!(book.due(0, at(1002), 64)[0].resolved.is_some());
}

#[test]
fn news_comes_before_repetition_and_pages_before_tickets() {
    let mut book = Book::new(1, RESEND);
    let told = |book: &mut Book, secs| -> Vec<String> {
        let due: Vec<_> = book
            .due(0, at(secs), 2)
            .iter()
            .map(|alarm| (alarm.fired.fingerprint.clone(), alarm.newest().id.clone()))
            .collect();
        due.iter().for_each(|(alarm, id)| book.taken(0, alarm, id, at(secs)));
        due.into_iter().map(|(alarm, _)| alarm).collect()
    };
    book.note(record("a", "fired", 990, Severity::Warning), at(1000));
    book.note(record("b", "fired", 990, Severity::Critical), at(1000));
    book.note(record("c", "fired", 990, Severity::Major), at(1000));
    assert_eq!(told(&mut book, 1000), ["b", "c"]);
    assert_eq!(told(&mut book, 1000), ["a"]);
    book.note(record("d", "fired", 1030, Severity::Info), at(1060));
    assert_eq!(told(&mut book, 1060), ["d", "b"]);
}

#[test]
fn a_full_book_keeps_the_severe() {
    let mut book = Book::new(1, RESEND);
    for number in 0..ALARMS_MAX {
        let severity = if number == 0 { Severity::Warning } else { Severity::Major };
        assert_eq!(book.note(record(&format!("{number:05}"), "fired", 990, severity), at(1000)), Noted::News);
    }
    assert_eq!(book.note(record("x", "fired", 990, Severity::Warning), at(1000)), Noted::NoRoom);
    assert_eq!(book.note(record("y", "fired", 990, Severity::Critical), at(1000)), Noted::News);
    assert_eq!(book.note(record("z", "fired", 990, Severity::Major), at(1000)), Noted::NoRoom);
    assert_eq!((book.counts(), book.left_out), ((ALARMS_MAX, 0), 3));
    book.note(record("00001", "resolved", 995, Severity::Major), at(1000));
    assert_eq!(book.note(record("z", "fired", 996, Severity::Info), at(1000)), Noted::News);
}
