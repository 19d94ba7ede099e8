//! The account's brain: what does its worker do next? No clock, no store, no socket.
//!
//! The worker shows what it sees and does what [`next`] says. Whatever happens — a reply, a new job, a changed setting, a
//! time that comes — it looks and asks again, so no answer has to foresee anything.

use super::{
    fair_share::{FairShare, Lane, Turn},
    pacing::Pacing,
    quiet::QuietEnd,
    quota::{
        ledger::Ledger,
        permit::{Exhausted, Need},
    },
};
use crate::domain::{
    ids::MessageKey,
    job::Priority,
    ledger::QuotaKey,
    parking::{Parking, ParkingCause, Standing},
    time::Timestamp,
};

/// What the worker sees. The ledger and the pacing are only told the time.
#[derive(Debug)]
pub struct View<'a> {
    /// The time.
    pub now: Timestamp,
    /// Whether the process is stopping.
    pub stage: Stage,
    /// The account's standing.
    pub standing: &'a Standing,
    /// When the quiet window ends in which nothing is sent at present; nothing outside of one.
    pub quiet: Option<QuietEnd>,
    /// The jobs that wait next, without those that are under way.
    pub jobs: &'a [Candidate],
    /// What each lane was served.
    pub shares: &'a FairShare,
    /// What the quotas have left.
    pub ledger: &'a mut Ledger,
    /// How fast it may go.
    pub pacing: &'a mut Pacing,
    /// The connections to the provider.
    pub connections: Connections,
    /// Sends under way, also those that are still connecting.
    pub in_flight: u32,
    /// A random number from 0 up to 1, which says how late a release after a calendar's boundary is.
    pub chance: f64,
}

/// Whether the process is stopping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It takes work.
    Running,
    /// It finishes what is under way.
    Draining,
}

/// A waiting job, as far as its turn depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Which message of which job.
    pub message: MessageKey,
    /// How urgent it is.
    pub priority: Priority,
    /// The stream with which it shares.
    pub lane: Lane,
    /// When it may be sent.
    pub due: Timestamp,
    /// Recipients that the next attempt is for.
    pub recipients: u32,
    /// Most bytes that its message has.
    pub bytes: u64,
    /// When it is void.
    pub expires_at: Option<Timestamp>,
}

impl Candidate {
    /// What it needs of the quotas.
    #[must_use]
    pub const fn need(&self) -> Need {
        Need::message_to(self.recipients).of_bytes(self.bytes)
    }
}

/// The connections to the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connections {
    /// Open and free for a message.
    pub idle: u32,
    /// Open or being opened, idle ones included.
    pub open: u32,
    /// Most that may be open.
    pub max: u32,
    /// Messages that busy ones can use beside those that they carry, so that the next one is at hand when its turn comes.
    pub ahead: u32,
}

/// What the worker does next. Indexes are into [`View::jobs`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Take a permit and a connection and send this job.
    Send(usize),
    /// End this job: its client's time for it has run out.
    Expire(usize),
    /// Take this job out of the window: it needs more of the quota than a whole window has, and would never go.
    TooLarge {
        /// The job.
        index: usize,
        /// The quota.
        key: QuotaKey,
    },
    /// Nothing until this time, or until something happens.
    WaitUntil {
        /// The time.
        at: Timestamp,
        /// What it waits for.
        reason: WaitReason,
    },
    /// Nothing until a send has ended.
    WaitForReply,
    /// Nothing until a connection is free.
    WaitForConnection,
    /// Nothing until there is a job.
    WaitForWork,
    /// Nothing until somebody resumes the account.
    WaitForResume,
    /// Everything under way has ended: stop.
    Stop,
}

/// Why nothing is sent until some time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WaitReason {
    /// The next job is due then.
    Due,
    /// The account is parked until then.
    Parked(ParkingCause),
    /// A quiet window ends then.
    Quiet,
    /// A quota has room then.
    Quota(QuotaKey),
    /// The pacing allows it then.
    Pacing,
}

/// What to do now.
///
/// Quotas are looked at for the job whose turn it is and no other: were smaller ones let past, a large one might never go.
/// That job is one of the most urgent that are due, so what it waits for is never kept for another that waits.
#[must_use]
pub fn next(view: View<'_>) -> Next {
    debug_assert!(view.ledger.permits() <= view.in_flight, "each permit belongs to a send under way");
    let View { now, jobs, .. } = view;
    if view.stage == Stage::Draining {
        return if view.in_flight == 0 { Next::Stop } else { Next::WaitForReply };
    }
    if let Some(index) = jobs.iter().position(|job| job.expires_at.is_some_and(|expiry| expiry <= now)) {
        return Next::Expire(index);
    }
    if let Standing::Parked(parking) = view.standing
        && let Some(wait) = while_parked(parking, &view)
    {
        return wait;
    }
    if let Some(end) = view.quiet
        && jobs.iter().any(|job| job.due <= now)
    {
        return in_quiet(end, jobs);
    }
    let Connections { idle, open, max, ahead } = view.connections;
    if idle == 0 && open >= max && ahead == 0 && jobs.iter().any(|job| job.due <= now) {
        return Next::WaitForConnection;
    }
    let Some(index) = whose_turn(jobs, view.shares, now) else {
        let first = jobs.iter().map(|job| job.due).min();
        return first.map_or(Next::WaitForWork, |at| until(at, WaitReason::Due, jobs, now));
    };
    if view.pacing.is_serial() && view.in_flight > 0 {
        return Next::WaitForReply;
    }
    let job = &jobs[index];
    if let Some(exhausted) = view.ledger.obstacle(job.need(), job.priority, now) {
        return no_room(index, exhausted, view.chance, jobs, now);
    }
    let ready_at = view.pacing.ready_at(now);
    if ready_at > now {
        return until(ready_at, WaitReason::Pacing, jobs, now);
    }
    Next::Send(index)
}

/// What a parked account waits for; nothing when its time has come. It is probed by one send at a time when its server
/// could not be reached.
fn while_parked(parking: &Parking, view: &View<'_>) -> Option<Next> {
    match parking.until {
        None => Some(match first_expiry(view.jobs) {
            Some(at) => Next::WaitUntil { at, reason: WaitReason::Parked(parking.cause) },
            None => Next::WaitForResume,
        }),
        Some(at) if at > view.now => {
            let at = first_expiry(view.jobs).map_or(at, |expiry| at.min(expiry));
            Some(Next::WaitUntil { at, reason: WaitReason::Parked(parking.cause) })
        }
        Some(_) if parking.cause == ParkingCause::Unreachable && view.in_flight > 0 => Some(Next::WaitForReply),
        Some(_) => None,
    }
}

/// What jobs that are due wait for in a quiet window. What is under way ends meanwhile by itself.
fn in_quiet(end: QuietEnd, jobs: &[Candidate]) -> Next {
    let at = [end.time(), first_expiry(jobs)].into_iter().flatten().min();
    at.map_or(Next::WaitForResume, |at| Next::WaitUntil { at, reason: WaitReason::Quiet })
}

/// The most urgent job that is due; among equals the lane that was served least, then the one that is due longest.
fn whose_turn(jobs: &[Candidate], shares: &FairShare, now: Timestamp) -> Option<usize> {
    let mut first: Option<(Turn, MessageKey, usize)> = None;
    let mut neighbour: Option<(Lane, Turn)> = None;
    for (index, job) in jobs.iter().enumerate().filter(|(_, job)| job.due <= now) {
        if first.is_some_and(|(turn, ..)| turn.priority() < job.priority) {
            continue;
        }
        // Neighbours are mostly of one lane, which need not be looked up again.
        let turn = match neighbour {
            Some((lane, turn)) if lane == job.lane && turn.priority() == job.priority => turn.at(job.due),
            _ => shares.turn(job.priority, job.lane, job.due),
        };
        neighbour = Some((job.lane, turn));
        if first.is_none_or(|(least, message, _)| (turn, job.message) < (least, message)) {
            first = Some((turn, job.message, index));
        }
    }
    first.map(|(.., index)| index)
}

fn no_room(index: usize, exhausted: Exhausted, chance: f64, jobs: &[Candidate], now: Timestamp) -> Next {
    if exhausted.is_for_ever() {
        return Next::TooLarge { index, key: exhausted.key };
    }
    until(exhausted.release_at(chance), WaitReason::Quota(exhausted.key), jobs, now)
}

/// A wait that a job which becomes due or void meanwhile cuts short: it may be more urgent, or need less.
fn until(at: Timestamp, reason: WaitReason, jobs: &[Candidate], now: Timestamp) -> Next {
    let later = jobs.iter().map(|job| job.due).filter(|due| *due > now).min();
    let at = [later, first_expiry(jobs)].into_iter().flatten().fold(at, Timestamp::min);
    Next::WaitUntil { at, reason }
}

fn first_expiry(jobs: &[Candidate]) -> Option<Timestamp> {
    jobs.iter().filter_map(|job| job.expires_at).min()
}

#[cfg(test)]
mod reserve_tests;
#[cfg(test)]
mod tests;
