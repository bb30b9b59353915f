//! Which alarms fire, which have just stopped, and who is to be told of them next. Never reads a clock, knows no HTTP.
//!
//! Alertmanager holds nothing that lasts: an alert that is not repeated ends there by itself. So there is no queue of posts that
//! could grow while one is away. What is due follows from where each alarm stands now, and the newest state wins.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

use streamgauge_events::EventTime;
use streamgauge_slo::{Severity, Transition};
use streamgauge_stage_slo::AlertRecord;

/// Alarms at once. A thousand SLOs, all failing, with all alarms that an SLO has by default, are 7,000. A process that posts 10,000 takes 60 MB.
pub const ALARMS_MAX: usize = 10_000;
/// What has resolved is posted so often: a post that was accepted may still be lost with the process that accepted it.
pub const RESOLVED_POSTS: u32 = 3;
/// And for so long at most, as Prometheus does. By then it has ended in Alertmanager even if that was never told.
pub const RESOLVED_KEPT: Duration = Duration::from_secs(15 * 60);

/// Wall time, and time since the start, which is never set back.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    pub wall: EventTime,
    pub elapsed: Duration,
}

#[derive(Debug)]
pub struct Book {
    receivers: usize,
    resend: Duration,
    /// By fingerprint.
    alarms: BTreeMap<String, Alarm>,
    /// Alarms that fire, for which there was no room.
    pub left_out: u64,
}

#[derive(Debug)]
pub struct Alarm {
    /// Labels are those of this one: they must be the same in every post.
    pub fired: AlertRecord,
    pub resolved: Option<AlertRecord>,
    resolved_at: Duration,
    /// By receiver.
    posts: Vec<Posts>,
}

/// What one receiver has been told of an alarm.
#[derive(Clone, Copy, Debug, Default)]
struct Posts {
    /// It may know that this fires, whether it answered or not.
    is_tried: bool,
    /// Posts that it took, of the state as it is now.
    taken: u32,
    last: Option<Duration>,
}

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noted {
    /// Somebody is to be told.
    News,
    /// Nobody is: pending, dropped, older than what is known, or over before anyone could be told.
    Nothing,
    /// The book is full of alarms that are no less severe.
    NoRoom,
}

impl Alarm {
    /// The transition that says how it stands.
    pub fn newest(&self) -> &AlertRecord {
        self.resolved.as_ref().unwrap_or(&self.fired)
    }
}

impl Book {
    pub const fn new(receivers: usize, resend: Duration) -> Self {
        Self { receivers, resend, alarms: BTreeMap::new(), left_out: 0 }
    }

    /// Takes in one transition. Records may come again: an alarm never goes back to what it was before.
    pub fn note(&mut self, record: AlertRecord, now: Moment) -> Noted {
        let is_old = self.alarms.get(&record.fingerprint).is_some_and(|known| record.at <= known.newest().at);
        match record.transition {
            _ if is_old => Noted::Nothing,
            Transition::Pending | Transition::Dropped => Noted::Nothing,
            Transition::Fired => self.fire(record),
            Transition::Resolved => self.resolve(record, now),
        }
    }

    fn fire(&mut self, record: AlertRecord) -> Noted {
        let known = self.alarms.contains_key(&record.fingerprint);
        if !known && self.alarms.len() >= ALARMS_MAX && !self.make_room(record.severity) {
            self.left_out += 1;
            return Noted::NoRoom;
        }
        let posts = vec![Posts::default(); self.receivers];
        let alarm = Alarm { fired: record, resolved: None, resolved_at: Duration::ZERO, posts };
        self.alarms.insert(alarm.fired.fingerprint.clone(), alarm);
        Noted::News
    }

    /// Gives up what has resolved, or else the least severe, if it is less severe than this.
    fn make_room(&mut self, severity: Severity) -> bool {
        let order = |alarm: &Alarm| (alarm.resolved.is_none(), alarm.fired.severity);
        let Some((fingerprint, least)) = self.alarms.iter().min_by_key(|(_, alarm)| order(alarm)) else { return true };
        let makes_room = order(least) < (true, severity);
        if makes_room {
            self.left_out += u64::from(least.resolved.is_none());
            let fingerprint = fingerprint.clone();
            self.alarms.remove(&fingerprint);
        }
        makes_room
    }

    fn resolve(&mut self, record: AlertRecord, now: Moment) -> Noted {
        let Some(alarm) = self.alarms.get_mut(&record.fingerprint) else { return Noted::Nothing };
        let may_be_known = alarm.posts.iter().any(|posts| posts.is_tried);
        // By a process before this one.
        let is_recent = now.wall.0 - record.at.0 <= RESOLVED_KEPT.as_micros() as i64;
        if !may_be_known && !is_recent {
            self.alarms.remove(&record.fingerprint);
            return Noted::Nothing;
        }
        alarm.resolved = Some(record);
        alarm.resolved_at = now.elapsed;
        alarm.posts.iter_mut().for_each(|posts| posts.taken = 0);
        Noted::News
    }

    /// What a receiver is to be told now, at most `limit`: what it has not been told before what it has, the severe first.
    pub fn due(&mut self, receiver: usize, now: Moment, limit: usize) -> Vec<&Alarm> {
        let resend = self.resend;
        let is_due = |alarm: &Alarm| {
            let posts = alarm.posts[receiver];
            let again = posts.last.is_none_or(|last| now.elapsed >= last + resend);
            posts.taken == 0 || (again && (alarm.resolved.is_none() || posts.taken < RESOLVED_POSTS))
        };
        let mut due: Vec<&mut Alarm> = self.alarms.values_mut().filter(|alarm| is_due(alarm)).collect();
        due.sort_by_key(|alarm| (alarm.posts[receiver].taken > 0, Reverse(alarm.fired.severity)));
        due.truncate(limit);
        let tried = |alarm: &'_ mut Alarm| alarm.posts[receiver].is_tried = true;
        due.iter_mut().for_each(|alarm| tried(alarm));
        due.into_iter().map(|alarm| &*alarm).collect()
    }

    /// Whether a receiver has not been told of everything yet.
    pub fn has_news(&self, receiver: usize) -> bool {
        self.alarms.values().any(|alarm| alarm.posts[receiver].taken == 0)
    }

    /// A receiver has taken this transition; if the alarm has moved on meanwhile, that is still to be told.
    pub fn taken(&mut self, receiver: usize, fingerprint: &str, id: &str, now: Moment) {
        let Some(alarm) = self.alarms.get_mut(fingerprint).filter(|alarm| alarm.newest().id == id) else { return };
        let posts = &mut alarm.posts[receiver];
        posts.taken = posts.taken.saturating_add(1);
        posts.last = Some(now.elapsed);
    }

    /// Lets go of what has resolved, and was told often enough or long ago.
    pub fn tidy(&mut self, now: Moment) {
        let kept = RESOLVED_KEPT.max(self.resend * RESOLVED_POSTS);
        self.alarms.retain(|_, alarm| {
            let is_told = alarm.posts.iter().all(|posts| posts.taken >= RESOLVED_POSTS);
            alarm.resolved.is_none() || (!is_told && now.elapsed < alarm.resolved_at + kept)
        });
    }

    /// Alarms that fire, and those that have resolved and are still being told.
    pub fn counts(&self) -> (usize, usize) {
        let firing = self.alarms.values().filter(|alarm| alarm.resolved.is_none()).count();
        (firing, self.alarms.len() - firing)
    }
}

#[cfg(test)]
mod tests;
