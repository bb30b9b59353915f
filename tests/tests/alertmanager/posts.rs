//! Posts to a receiver of our own: firing, again, resolved; refused, away, silent; credentials; the end.

use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::ensure;
use serde_json::Value;
use streamgauge::alertmanager_push::body::Saying;
use streamgauge::alertmanager_push::book::RESOLVED_POSTS;
use streamgauge::alertmanager_push::client::{Address, Client, Credentials};
use streamgauge::alertmanager_push::post::{self, Shared};
use streamgauge::shell::Stop;
use streamgauge_events::EventTime;
use streamgauge_slo::Transition;
use streamgauge_stage_slo::AlertRecord;
use streamgauge_tests::clock::{Stopwatch, now_us};

use crate::bodies::examples;
use crate::receiver::{Receiver, wait_for};

/// A book and a thread for each receiver, without Kafka.
pub struct Pushing {
    pub shared: Shared,
    stop: Stop,
    threads: Vec<JoinHandle<()>>,
}

impl Pushing {
    pub fn to(urls: &[String], resend: Duration, credentials: &Credentials) -> anyhow::Result<Self> {
        let addresses: Vec<Address> =
            urls.iter().map(|url| Address::new(url).map_err(anyhow::Error::msg)).collect::<anyhow::Result<_>>()?;
        let (shared, stop) = (Shared::new(&addresses, resend), Stop::default());
        let start = |(index, address): (usize, &Address)| {
            let (shared, stop) = (shared.clone(), stop.clone());
            let client = Client::new(address, credentials.clone());
            let saying = Saying { resend, ..Saying::default() };
            std::thread::spawn(move || post::run(&shared, index, &client, &saying, &stop))
        };
        let threads = addresses.iter().enumerate().map(start).collect();
        Ok(Self { shared, stop, threads })
    }

    pub fn read_to_end(self) -> Self {
        self.shared.lock().is_caught_up = true;
        self
    }

    pub fn note(&self, record: AlertRecord) {
        let mut state = self.shared.lock();
        let now = state.moment();
        state.book.note(record, now);
        drop(state);
        self.shared.wake();
    }

    pub fn end(self) -> anyhow::Result<()> {
        self.stop.set();
        for thread in self.threads {
            ensure!(thread.join().is_ok(), "a thread has panicked");
        }
        Ok(())
    }
}

const RESEND: Duration = Duration::from_millis(300);

/// One that fires now, of an SLO of this name.
pub fn fired(slo: &str, rule: &str) -> AlertRecord {
    let mut record = examples().swap_remove(2);
    (record.slo, record.rule) = (slo.to_owned(), rule.to_owned());
    record.fingerprint = format!("{slo}/{rule}");
    // The grid point before now, as it would be.
    record.at = EventTime(now_us() / 10_000_000 * 10_000_000 - 10_000_000);
    record.starts_at = record.at;
    record.id = format!("{}/fired/{}", record.fingerprint, record.at.0);
    record
}

pub fn resolved(fired: &AlertRecord) -> AlertRecord {
    let at = EventTime(fired.at.0 + 5_000_000);
    let id = format!("{}/resolved/{}", fired.fingerprint, at.0);
    AlertRecord { transition: Transition::Resolved, at, id, ..fired.clone() }
}

fn ends(alerts: &[Value]) -> Vec<i64> {
    let end = |alert: &Value| alert["endsAt"].as_str()?.parse::<jiff::Timestamp>().ok();
    alerts.iter().map(|alert| end(alert).map_or(0, |end| end.as_microsecond())).collect()
}

#[test]
fn fires_again_and_again_and_resolves_three_times() -> anyhow::Result<()> {
    let receiver = Receiver::start()?;
    let pushing = Pushing::to(&[receiver.url()], RESEND, &Credentials::default())?.read_to_end();
    let alarm = fired("checkout", "fast-burn");
    pushing.note(alarm.clone());
    let firing = wait_for("three posts", || Ok(Some(receiver.accepted("checkout")?).filter(|seen| seen.len() >= 3)))?;
    ensure!(firing.iter().all(|alert| alert["labels"] == firing[0]["labels"]), "labels differ: {firing:#?}");
    ensure!(firing.iter().all(|alert| alert["startsAt"] == firing[0]["startsAt"]), "starts differ: {firing:#?}");
    ensure!(ends(&firing).iter().all(|end| *end > alarm.at.0 + 10_000_000), "what fires has ended: {firing:#?}");
    let over = resolved(&alarm);
    pushing.note(over.clone());
    let is_over = |alerts: &[Value]| ends(alerts).into_iter().filter(|end| *end == over.at.0).count();
    wait_for("resolved", || Ok((is_over(&receiver.accepted("checkout")?) == RESOLVED_POSTS as usize).then_some(())))?;
    std::thread::sleep(RESEND * 3);
    ensure!(is_over(&receiver.accepted("checkout")?) == RESOLVED_POSTS as usize, "it is told for ever");
    let mut state = pushing.shared.lock();
    let now = state.moment();
    state.book.tidy(now);
    ensure!(state.book.counts() == (0, 0), "it is kept");
    drop(state);
    pushing.end()
}

#[test]
fn nothing_is_posted_before_the_end_of_the_topic_was_reached() -> anyhow::Result<()> {
    let receiver = Receiver::start()?;
    let pushing = Pushing::to(&[receiver.url()], RESEND, &Credentials::default())?;
    pushing.note(fired("checkout", "fast-burn"));
    std::thread::sleep(RESEND * 3);
    ensure!(receiver.posts()?.is_empty(), "posted too early");
    let pushing = pushing.read_to_end();
    wait_for("the alert", || Ok(receiver.accepted("checkout")?.pop()))?;
    pushing.end()
}

/// An Alertmanager that is away should be known before it is needed.
#[test]
fn an_empty_post_asks_whether_it_is_there() -> anyhow::Result<()> {
    let receiver = Receiver::start()?;
    let pushing = Pushing::to(&[receiver.url()], RESEND, &Credentials::default())?.read_to_end();
    let is_up = |expected: bool| (pushing.shared.lock().receivers[0].is_up == Some(expected)).then_some(());
    wait_for("up", || Ok(is_up(true)))?;
    receiver.stop();
    wait_for("away", || Ok(is_up(false)))?;
    receiver.start_again()?;
    wait_for("up again", || Ok(is_up(true)))?;
    ensure!(receiver.posts()?.iter().all(|post| post.alerts.is_empty()));
    pushing.end()
}

/// One is down, one is overloaded, one never answers: the fourth hears of everything at once, and each gets the newest state later.
#[test]
fn outages_concern_only_who_is_away() -> anyhow::Result<()> {
    let receivers = [Receiver::start()?, Receiver::start()?, Receiver::start()?, Receiver::start()?];
    let [down, overloaded, silent, well] = &receivers;
    down.stop();
    overloaded.answer(503);
    silent.answer(0);
    let urls: Vec<String> = receivers.iter().map(Receiver::url).collect();
    let pushing = Pushing::to(&urls, RESEND, &Credentials::default())?.read_to_end();
    std::thread::sleep(RESEND);
    let since = Stopwatch::start();
    let (over, again) = (fired("over", "fast-burn"), fired("again", "fast-burn"));
    for record in [over.clone(), again.clone()] {
        pushing.note(record);
    }
    ensure!(since.elapsed() < Duration::from_secs(1), "reading was held up");
    wait_for("it fires there", || Ok(well.accepted("over")?.pop()))?;
    wait_for("it was tried there", || Ok(overloaded.posts()?.iter().find(|post| !post.alerts.is_empty()).cloned()))?;
    pushing.note(resolved(&over));
    for receiver in [overloaded, silent] {
        receiver.answer(200);
    }
    down.start_again()?;
    for receiver in &receivers {
        wait_for("what fires", || Ok(receiver.accepted("again")?.pop()))?;
    }
    // That it was over was told, and never that it fires, to whom heard of it late.
    let of_overloaded = wait_for("what is over", || Ok(overloaded.accepted("over")?.into_iter().next()))?;
    ensure!(ends(&[of_overloaded])[0] == over.at.0 + 5_000_000, "an old state was told");
    ensure!(down.accepted("over")?.iter().all(|alert| ends(std::slice::from_ref(alert))[0] == over.at.0 + 5_000_000));
    pushing.end()
}

#[test]
fn what_is_refused_is_not_tried_at_once() -> anyhow::Result<()> {
    let receiver = Receiver::start()?;
    receiver.answer(400);
    let resend = Duration::from_secs(2);
    let pushing = Pushing::to(&[receiver.url()], resend, &Credentials::default())?.read_to_end();
    pushing.note(fired("checkout", "fast-burn"));
    let tried =
        || -> anyhow::Result<usize> { Ok(receiver.posts()?.iter().filter(|post| !post.alerts.is_empty()).count()) };
    wait_for("the first attempt", || Ok((tried()? == 1).then_some(())))?;
    std::thread::sleep(resend / 2);
    ensure!(tried()? == 1, "it was tried at once again");
    wait_for("the next resend", || Ok((tried()? == 2).then_some(())))?;
    ensure!(pushing.shared.lock().receivers[0].refused >= 2);
    pushing.end()
}

#[test]
fn credentials_are_sent_and_follow_no_detour() -> anyhow::Result<()> {
    let receiver = Receiver::start()?;
    let token = Credentials::of(None, None, Some("a-token".to_owned()))?;
    let pushing = Pushing::to(&[receiver.url()], RESEND, &token)?.read_to_end();
    let post = wait_for("a post", || Ok(receiver.posts()?.pop()))?;
    ensure!(post.authorization.as_deref() == Some("Bearer a-token"));
    receiver.answer(307);
    wait_for("away", || Ok((pushing.shared.lock().receivers[0].is_up == Some(false)).then_some(())))?;
    pushing.end()
}

#[test]
fn what_came_last_is_posted_before_the_end() -> anyhow::Result<()> {
    let receiver = Receiver::start()?;
    let pushing = Pushing::to(&[receiver.url()], Duration::from_secs(60), &Credentials::default())?.read_to_end();
    for number in 0..200 {
        pushing.note(fired(&format!("slo-{number}"), "fast-burn"));
    }
    pushing.end()?;
    for number in 0..200 {
        ensure!(receiver.accepted(&format!("slo-{number}"))?.len() == 1, "slo-{number}");
    }
    ensure!(receiver.posts()?.iter().all(|post| post.alerts.len() <= 64), "a post is too large");
    Ok(())
}

#[test]
fn the_end_waits_for_nobody_who_is_away() -> anyhow::Result<()> {
    let receiver = Receiver::start()?;
    receiver.stop();
    let pushing = Pushing::to(&[receiver.url()], RESEND, &Credentials::default())?.read_to_end();
    pushing.note(fired("checkout", "fast-burn"));
    wait_for("away", || Ok((pushing.shared.lock().receivers[0].failed > 0).then_some(())))?;
    let since = Stopwatch::start();
    pushing.end()?;
    ensure!(since.elapsed() < Duration::from_secs(3), "{:?}", since.elapsed());
    Ok(())
}
