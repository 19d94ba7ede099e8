//! How a job that has changed is put back, with all that is derived from it.

use ::sled::IVec;

use super::{
    held_keys::held_keys,
    jobs::{Before, StoredJob, divert_key, doubt_key, expiry_key, job_frames, ready_now, ready_value},
    keys::Key,
    txn::Txn,
};
use crate::domain::{backlog::Queued, job::Flight};

impl Txn {
    /// Rewrites a job of the account with this number, and what is derived from it. Whether its worker has to be told is
    /// for the caller to say.
    pub(super) fn replace_job(&mut self, account: u32, stored: &StoredJob, before: &Before, flight: Flight) {
        let job = &stored.job;
        let id = job.id;
        let frames = job_frames(job, &stored.body);
        let count = u16::try_from(frames.len()).expect("frames are counted by 16 bits");
        for (key, value) in frames {
            self.put(key, value);
        }
        self.remove_frames(|chunk| Key::Job { job: id, chunk }, count..stored.frames);
        let ready = ready_now(account, job, flight);
        if let Some(old) = before.ready.as_ref().filter(|old| ready.as_ref() != Some(old)) {
            self.remove_key(old);
        }
        if let Some(new) = ready {
            self.put(IVec::from(new.to_bytes()), ready_value(job));
        }
        self.replace_bare(before.expiry.as_ref(), expiry_key(job));
        self.replace_bare(before.divert.as_ref(), divert_key(account, job, flight));
        self.replace_bare(before.doubt.as_ref(), doubt_key(account, job, flight));
        let held = held_keys(job);
        before.held.difference(&held).for_each(|old| self.remove(IVec::from(old.as_slice())));
        held.difference(&before.held).for_each(|new| self.put(IVec::from(new.as_slice()), IVec::default()));
        self.count_open(&job.account, before.is_open, job.is_open());
        self.count_queued(&job.account, job.priority, before.queued, Queued::of_job(job));
    }

    /// Puts a derived entry that says all by its key in the place of another one.
    fn replace_bare(&mut self, before: Option<&Key>, after: Option<Key>) {
        if let Some(old) = before.filter(|old| after.as_ref() != Some(old)) {
            self.remove_key(old);
        }
        if let Some(new) = after {
            self.put(IVec::from(new.to_bytes()), IVec::default());
        }
    }
}
