//! The couriers of an account: one for each connection, and who of them can take a message.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::{
    sync::mpsc,
    task::{JoinError, JoinSet},
};
use tokio_util::sync::CancellationToken;

use super::errand::Errand;
use crate::policy::dispatch::Connections;

/// Most errands that wait for one courier.
pub(super) const ERRANDS_WAITING_MAX: usize = 16;

/// Names a courier within its account's worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CourierId(u64);

/// What a courier has of its post: where its errands come from, when it must end, and what it tells of itself.
#[derive(Debug)]
pub(super) struct Post {
    pub(super) id: CourierId,
    pub(super) errands: mpsc::Receiver<Errand>,
    /// Cancelled when nothing more may be sent: what is past its final dot is finished, the rest is given back.
    pub(super) dismissed: CancellationToken,
    /// How many messages it can use beside the one that it is sending; set by the courier.
    pub(super) ahead: Arc<AtomicUsize>,
}

/// The couriers at work.
#[derive(Debug)]
pub(super) struct Roster {
    posts: Vec<Manned>,
    tasks: JoinSet<CourierId>,
    dismissal: CancellationToken,
    stopping: CancellationToken,
    next: u64,
}

/// A post as the worker sees it.
#[derive(Debug)]
struct Manned {
    id: CourierId,
    errands: mpsc::Sender<Errand>,
    ahead: Arc<AtomicUsize>,
    /// Messages that it was given and has not brought back.
    in_hand: usize,
}

impl Manned {
    fn room_ahead(&self) -> usize {
        if self.in_hand == 0 { 0 } else { (1 + self.ahead.load(Ordering::Relaxed)).saturating_sub(self.in_hand) }
    }
}

impl Roster {
    /// Nobody yet. All couriers are dismissed when `stopping` is cancelled.
    pub(super) fn new(stopping: &CancellationToken) -> Self {
        let dismissal = stopping.child_token();
        Self { posts: Vec::new(), tasks: JoinSet::new(), dismissal, stopping: stopping.clone(), next: 0 }
    }

    /// The connections as dispatch sees them.
    pub(super) fn connections(&self, max: u32) -> Connections {
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let idle = self.posts.iter().filter(|post| post.in_hand == 0).count();
        let ahead = self.posts.iter().map(Manned::room_ahead).sum();
        Connections { idle: count(idle), open: count(self.tasks.len()), max, ahead: count(ahead) }
    }

    /// Whether no courier is left.
    pub(super) fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Chooses a courier for one more message: one that is idle, else a new one while there are fewer than `max`, else
    /// the one with the most room. `begin` makes the task of a new one.
    pub(super) fn assign<F>(
        &mut self,
        max: u32,
        begin: impl FnOnce(Post) -> F,
    ) -> Option<(CourierId, mpsc::Sender<Errand>)>
    where
        F: Future<Output = CourierId> + Send + 'static,
    {
        // The one that was used last is the least likely to have been closed by the server.
        let place = match self.posts.iter().rposition(|post| post.in_hand == 0) {
            Some(place) => place,
            None if self.tasks.len() < max as usize => self.man(begin),
            None => {
                let roomy = self.posts.iter().enumerate().filter(|(_, post)| post.room_ahead() > 0);
                roomy.min_by_key(|(_, post)| post.in_hand).map(|(place, _)| place)?
            }
        };
        let post = &mut self.posts[place];
        post.in_hand += 1;
        Some((post.id, post.errands.clone()))
    }

    fn man<F>(&mut self, begin: impl FnOnce(Post) -> F) -> usize
    where
        F: Future<Output = CourierId> + Send + 'static,
    {
        let id = CourierId(self.next);
        self.next += 1;
        let (sender, errands) = mpsc::channel(ERRANDS_WAITING_MAX);
        let ahead = Arc::default();
        let post = Post { id, errands, dismissed: self.dismissal.clone(), ahead: Arc::clone(&ahead) };
        self.tasks.spawn(begin(post));
        self.posts.push(Manned { id, errands: sender, ahead, in_hand: 0 });
        self.posts.len() - 1
    }

    /// Notes that a courier has brought a message back.
    pub(super) fn came_back(&mut self, id: CourierId) {
        let Some(place) = self.posts.iter().position(|post| post.id == id) else {
            return;
        };
        let mut post = self.posts.remove(place);
        post.in_hand = post.in_hand.saturating_sub(1);
        // One that is closed takes nothing more; its task ends when it has brought back the rest.
        if !post.errands.is_closed() {
            self.posts.push(post);
        }
    }

    /// Waits until a courier has ended; for ever when there is none.
    pub(super) async fn ended(&mut self) -> Result<(), JoinError> {
        let Some(ended) = self.tasks.join_next().await else {
            return std::future::pending().await;
        };
        let id = ended?;
        self.posts.retain(|post| post.id != id);
        Ok(())
    }

    /// Lets all couriers finish the message whose final dot is out, give back the others, and end. Couriers that are
    /// chosen later are new ones.
    pub(super) fn dismiss(&mut self) {
        self.posts.clear();
        self.dismissal.cancel();
        self.dismissal = self.stopping.child_token();
    }
}
