//! What callers may ask of a job, and why it may come to nothing.

/// What is done to a job when the attempt under way ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the calls")]
pub enum Wish {
    Cancel,
    Hold,
    Expire,
}

/// What a caller may do to a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// Withdraw every recipient that is not final.
    Cancel,
    /// Try nothing until it is released.
    Hold,
    /// End a hold.
    Release,
    /// Try all recipients that are deferred, in doubt, failed or expired again, now.
    Retry,
    /// End every recipient that is not final as if its time had run out.
    Expire,
}

/// Why a control call does nothing to a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ControlRefusal {
    /// Nothing of it can be withdrawn, held or tried any more.
    #[error("the job has no recipient that this could concern")]
    NothingToDo,
    /// It must be released first.
    #[error("the job is held: release it first")]
    IsHeld,
    /// It must be approved first.
    #[error("the job waits for approval: approve it first")]
    AwaitsApproval,
    /// There is nothing to approve.
    #[error("the job does not wait for approval")]
    NoApprovalAwaited,
    /// An attempt is under way.
    #[error("an attempt is under way: repeat the call when it has ended")]
    UnderWay,
    /// What is left of a merge job was withdrawn, and is not tried again.
    #[error("the merge job was cancelled: what is left of it cannot be tried again")]
    WasCancelled,
}
