//! The connections of one deployed generation on one worker: counted, asked to
//! leave, and at last dropped.
//!
//! A listener registers each connection and gives its chain an [`Accepted`]; the
//! chain watches [`ConnectionHandle::poll_draining`] and says when it idles.
//! Nothing here is shared between threads, and nothing allocates per request.

use std::cell::{Cell, RefCell};
use std::fmt::{self, Display};
use std::future::{Future, poll_fn};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use slab::Slab;
use tokio::sync::Notify;
use tokio::task::{AbortHandle, spawn_local};

use crate::clock::{self, Tick};
use crate::io::{Io, PeerAddr};
use crate::listener::Permit;
use crate::panic::contain;

/// How many of the longest idle connections one search remembers, so that a flood of
/// newcomers costs a search per this many of them.
pub const EVICTION_CANDIDATES: usize = 64;

/// How long a connection that has not said anything yet may still begin to when it is to
/// leave at once: its client connected in good faith and may be about to ask.
pub const NEWCOMER_GRACE: Duration = Duration::from_secs(1);

/// What a listener gives a site's chain.
#[derive(Debug)]
pub struct Accepted {
    /// The connection's byte stream.
    pub io: Io,
    /// Who is at the other end.
    pub peer: PeerAddr,
    /// The address the connection came in at.
    pub local: PeerAddr,
    /// The connection's place among its generation's connections.
    pub handle: ConnectionHandle,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Activity {
    Busy,
    IdleSince(Tick),
    /// Was idle for longest when room was needed, and was asked to leave.
    Evicted,
}

struct Slot {
    waker: Option<Waker>,
    task: Option<AbortHandle>,
    activity: Activity,
    // Held for its drop: it gives the place back to the site's limit and the worker's load.
    _permit: Option<Permit>,
}

impl Slot {
    /// Ready if this connection was chosen to make room; registers the task otherwise.
    fn poll_evicted(&mut self, cx: &Context<'_>) -> Poll<()> {
        if self.activity == Activity::Evicted {
            return Poll::Ready(());
        }
        if !self
            .waker
            .as_ref()
            .is_some_and(|it| it.will_wake(cx.waker()))
        {
            self.waker = Some(cx.waker().clone());
        }
        Poll::Pending
    }
}

struct Group {
    generation: u64,
    slots: RefCell<Slab<Slot>>,
    /// Keys and times of idle connections, longest idle last, as of the last search.
    candidates: RefCell<Vec<(usize, Tick)>>,
    draining: Cell<bool>,
    hurried: Cell<bool>,
    closed: Cell<bool>,
    empty: Notify,
    left: Notify,
}

/// The connections of one generation on one worker. Clones are the same group.
#[derive(Clone)]
pub struct Connections {
    group: Rc<Group>,
}

impl Default for Connections {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connections")
            .field("count", &self.count())
            .field("draining", &self.group.draining.get())
            .finish_non_exhaustive()
    }
}

impl Connections {
    /// A group without connections, of no generation in particular: 0.
    pub fn new() -> Self {
        Self::of_generation(0)
    }

    /// A group without connections whose members know that they are served by `generation`.
    pub fn of_generation(generation: u64) -> Self {
        Self {
            group: Rc::new(Group {
                generation,
                slots: RefCell::default(),
                candidates: RefCell::default(),
                draining: Cell::new(false),
                hurried: Cell::new(false),
                closed: Cell::new(false),
                empty: Notify::new(),
                left: Notify::new(),
            }),
        }
    }

    /// Adds a connection, busy to begin with; `None` after [`Self::abort_all`].
    ///
    /// In a group that drains, the new connection is asked to leave from the start.
    pub fn register(&self, peer: PeerAddr) -> Option<ConnectionHandle> {
        self.register_with(peer, None)
    }

    fn register_with(&self, peer: PeerAddr, permit: Option<Permit>) -> Option<ConnectionHandle> {
        if self.group.closed.get() {
            return None;
        }
        tracing::trace!(%peer, "connection");
        let key = self.group.slots.borrow_mut().insert(Slot {
            waker: None,
            task: None,
            activity: Activity::Busy,
            _permit: permit,
        });
        Some(ConnectionHandle {
            group: Rc::clone(&self.group),
            key,
        })
    }

    /// Registers a connection and runs it as a task of this worker, its panic contained.
    /// After [`Self::abort_all`] the connection is closed instead.
    ///
    /// `start` makes the connection's future from its handle; the permit, if there is one,
    /// is given back when the handle is dropped.
    pub fn spawn<S, F, E>(&self, peer: PeerAddr, permit: Option<Permit>, start: S)
    where
        S: FnOnce(ConnectionHandle) -> F,
        F: Future<Output = Result<(), E>> + 'static,
        E: Display + 'static,
    {
        let Some(handle) = self.register_with(peer, permit) else {
            return;
        };
        let key = handle.key;
        let task = spawn_local(contain(peer, start(handle)));
        // A start that dropped its handle has nothing left to abort, and its key may be taken.
        if let Some(slot) = self.group.slots.borrow_mut().get_mut(key)
            && slot.task.is_none()
        {
            slot.task = Some(task.abort_handle());
        }
    }

    /// Runs `make`, which makes the chain that is to serve this group: the chain can find
    /// the group by [`being_made`].
    pub async fn while_made<F: Future>(&self, make: F) -> F::Output {
        BEING_MADE.scope(self.clone(), make).await
    }

    /// Whether its connections have been asked to leave.
    pub fn is_draining(&self) -> bool {
        self.group.draining.get()
    }

    /// Waits until its connections are asked to leave, be there any or none: another
    /// generation serves by then, or nobody does. Cancellation safe.
    pub async fn asked_to_leave(&self) {
        while !self.is_draining() {
            self.group.left.notified().await;
        }
    }

    /// Whether the two are clones of one group.
    pub fn is_same_as(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.group, &other.group)
    }

    /// How many connections there are.
    pub fn count(&self) -> usize {
        self.group.slots.borrow().len()
    }

    /// Asks every connection, and every later one, to leave in its protocol's terms.
    ///
    /// One that idles may stay until its next request and leave with the answer, so that
    /// no request crosses a close on the wire. See [`Self::hurry`].
    pub fn drain(&self) {
        if !self.group.draining.replace(true) {
            self.wake_all();
        }
    }

    /// As [`Self::drain`], but who idles leaves at once.
    pub fn hurry(&self) {
        self.group.draining.set(true);
        if !self.group.hurried.replace(true) {
            self.wake_all();
        }
    }

    fn wake_all(&self) {
        // Woken outside the borrow: a waker is foreign code.
        let wakers: Vec<Waker> = self
            .group
            .slots
            .borrow_mut()
            .iter_mut()
            .filter_map(|(_, slot)| slot.waker.take())
            .collect();
        wakers.into_iter().for_each(Waker::wake);
        self.group.left.notify_waiters();
    }

    /// Drops the task of every connection and takes no more.
    pub fn abort_all(&self) {
        self.group.closed.set(true);
        self.group.draining.set(true);
        self.group.left.notify_waiters();
        let tasks: Vec<AbortHandle> = self
            .group
            .slots
            .borrow_mut()
            .iter_mut()
            .filter_map(|(_, slot)| slot.task.take())
            .collect();
        for task in tasks {
            task.abort();
        }
    }

    /// Asks the connection that has been idle for longest to leave; `false` when none is idle.
    pub fn evict_oldest_idle(&self) -> bool {
        self.evict_remembered() || {
            self.remember_idle();
            self.evict_remembered()
        }
    }

    fn evict_remembered(&self) -> bool {
        let mut candidates = self.group.candidates.borrow_mut();
        while let Some((key, since)) = candidates.pop() {
            let waker = match self.group.slots.borrow_mut().get_mut(key) {
                // Busy in between: another moment of idleness, or another connection.
                Some(slot) if slot.activity == Activity::IdleSince(since) => {
                    slot.activity = Activity::Evicted;
                    slot.waker.take()
                }
                _ => continue,
            };
            drop(candidates);
            if let Some(waker) = waker {
                waker.wake();
            }
            return true;
        }
        false
    }

    fn remember_idle(&self) {
        let slots = self.group.slots.borrow();
        let mut idle: Vec<(usize, Tick)> = slots
            .iter()
            .filter_map(|(key, slot)| match slot.activity {
                Activity::IdleSince(since) => Some((key, since)),
                Activity::Busy | Activity::Evicted => None,
            })
            .collect();
        if idle.len() > EVICTION_CANDIDATES {
            idle.select_nth_unstable_by_key(EVICTION_CANDIDATES, |&(_, since)| since);
            idle.truncate(EVICTION_CANDIDATES);
        }
        idle.sort_unstable_by_key(|&(_, since)| std::cmp::Reverse(since));
        *self.group.candidates.borrow_mut() = idle;
    }

    /// Waits until there is no connection. Cancellation safe.
    pub async fn idle(&self) {
        while self.count() > 0 {
            self.group.empty.notified().await;
        }
    }
}

tokio::task_local! {
    static BEING_MADE: Connections;
}

/// The group that the chain which the calling task makes is to serve, if it is to serve one.
///
/// For chains whose connections outlive a generation, or come from other workers.
pub fn being_made() -> Option<Connections> {
    BEING_MADE.try_with(Connections::clone).ok()
}

/// One connection's place in its group; dropping it gives the place up.
pub struct ConnectionHandle {
    group: Rc<Group>,
    key: usize,
}

impl fmt::Debug for ConnectionHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionHandle")
            .field("key", &self.key)
            .field("draining", &self.is_draining())
            .finish_non_exhaustive()
    }
}

impl ConnectionHandle {
    /// The deployed generation that serves this connection.
    pub fn generation(&self) -> u64 {
        self.group.generation
    }

    /// Makes this a connection of another group on the same worker, with all it has: its
    /// task, its permit, and whether it idles. Nothing happens if that group takes no more.
    ///
    /// For a protocol whose connections go on under a new generation. The task that is to
    /// be woken has to ask the handle anew.
    pub fn move_to(&mut self, other: &Connections) {
        if other.group.closed.get() || Rc::ptr_eq(&self.group, &other.group) {
            return;
        }
        let Some(mut slot) = self.group.slots.borrow_mut().try_remove(self.key) else {
            return;
        };
        let waker = slot.waker.take();
        let key = other.group.slots.borrow_mut().insert(slot);
        drop(waker);
        let left = std::mem::replace(&mut self.group, Rc::clone(&other.group));
        self.key = key;
        if left.slots.borrow().is_empty() {
            left.empty.notify_waiters();
        }
    }

    /// Whether this connection has been asked to leave.
    pub fn is_draining(&self) -> bool {
        self.group.draining.get() || self.is_evicted()
    }

    /// Ready once this connection has been asked to leave; until then the task is woken
    /// when that happens. Cheap enough to be called at every poll.
    pub fn poll_draining(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.group.draining.get() {
            return Poll::Ready(());
        }
        let mut slots = self.group.slots.borrow_mut();
        let slot = &mut slots[self.key];
        if slot.activity == Activity::Evicted {
            return Poll::Ready(());
        }
        if !slot
            .waker
            .as_ref()
            .is_some_and(|it| it.will_wake(cx.waker()))
        {
            let earlier = slot.waker.replace(cx.waker().clone());
            drop(slots);
            drop(earlier);
        }
        Poll::Pending
    }

    /// Ready once this connection is to leave even though it idles: it was chosen to make
    /// room, or the group was [hurried](Connections::hurry). As cheap as
    /// [`Self::poll_draining`], and registers the same waker.
    pub fn poll_leaving(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.group.hurried.get() {
            return Poll::Ready(());
        }
        self.group.slots.borrow_mut()[self.key].poll_evicted(cx)
    }

    /// Whether everybody in the group is to leave even though they idle.
    pub fn is_hurried(&self) -> bool {
        self.group.hurried.get()
    }

    /// Whether this connection was chosen to make room for another, which waits for it.
    pub fn is_evicted(&self) -> bool {
        self.group.slots.borrow()[self.key].activity == Activity::Evicted
    }

    /// Waits until this connection is asked to leave. Cancellation safe.
    pub async fn draining(&self) {
        poll_fn(|cx| self.poll_draining(cx)).await;
    }

    /// Waits until this connection is to leave even though it idles; see
    /// [`Self::poll_leaving`]. Cancellation safe.
    pub async fn leaving(&self) {
        poll_fn(|cx| self.poll_leaving(cx)).await;
    }

    /// Says that nothing is under way: when room is needed, the longest idle leave first.
    pub fn mark_idle(&self) {
        let slot = &mut self.group.slots.borrow_mut()[self.key];
        if slot.activity == Activity::Busy {
            slot.activity = Activity::IdleSince(clock::now());
        }
    }

    /// Says that something is under way.
    pub fn mark_busy(&self) {
        let slot = &mut self.group.slots.borrow_mut()[self.key];
        if matches!(slot.activity, Activity::IdleSince(_)) {
            slot.activity = Activity::Busy;
        }
    }
}

impl Drop for ConnectionHandle {
    fn drop(&mut self) {
        // Bound to a name so that the borrow has ended when the waker and the permit go.
        let slot = self.group.slots.borrow_mut().try_remove(self.key);
        drop(slot);
        if self.group.slots.borrow().is_empty() {
            self.group.empty.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests;
