//! One worker's broker core with what it needs of the machine: the time, a deadline, and
//! the tasks of its connections.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker};

use slab::Slab;
use tidegate_runtime::clock::{self, Tick};
use tidegate_runtime::deadline::Deadline;
use tokio::task::{AbortHandle, spawn_local};

use crate::broker::time::Moment;
use crate::broker::{Broker, ConnectionId, Input, Outgoing, Output, Settings};
use crate::codec::ReasonCode;

/// Turns the worker's clock into moments: the wall clock read once, and what the monotonic
/// one has counted since.
#[derive(Clone, Copy, Debug)]
pub(super) struct Epoch {
    wall_ms: u64,
    tick: Tick,
}

impl Epoch {
    pub(super) fn start() -> Self {
        let wall = clock::wall().duration_since(std::time::UNIX_EPOCH);
        Self {
            wall_ms: wall.map_or(0, |wall| wall.as_millis() as u64),
            tick: clock::now(),
        }
    }

    /// A number that other runs of the program do not have.
    pub(super) fn seed(self) -> u64 {
        let random = std::collections::hash_map::RandomState::new();
        std::hash::BuildHasher::hash_one(&random, self.wall_ms)
    }

    fn now(self) -> Moment {
        Moment::from_millis(self.wall_ms) + clock::now().since(self.tick)
    }
}

/// A connection's task, as the core reaches it.
#[derive(Debug, Default)]
struct Seat {
    /// The core has something for it.
    ready: bool,
    waker: Option<Waker>,
}

/// The core of one worker.
#[derive(Debug)]
pub(super) struct Core {
    epoch: Epoch,
    broker: RefCell<Broker>,
    seats: RefCell<Slab<Seat>>,
    deadline: Deadline,
    /// What `deadline` is armed for.
    due: Cell<Option<Moment>>,
    leaving: Cell<bool>,
    ticker: AbortHandle,
}

impl Core {
    /// A core, and the task that tells it the time for as long as it lives.
    pub(super) fn start(epoch: Epoch, settings: Settings) -> Rc<Self> {
        let broker = Broker::new(epoch.now(), settings);
        let core = Rc::new_cyclic(|core: &Weak<Self>| Self {
            epoch,
            broker: RefCell::new(broker),
            seats: RefCell::default(),
            deadline: Deadline::new(),
            due: Cell::new(None),
            leaving: Cell::new(false),
            ticker: spawn_local(tick(core.clone())).abort_handle(),
        });
        core.settle();
        core
    }

    pub(super) fn broker(&self) -> std::cell::Ref<'_, Broker> {
        self.broker.borrow()
    }

    /// A number for a new connection.
    pub(super) fn take_seat(&self) -> ConnectionId {
        let key = self.seats.borrow_mut().insert(Seat::default());
        ConnectionId(u32::try_from(key).expect("a process has fewer than 2^32 descriptors"))
    }

    /// Tells the core of the connection's end, and frees its number.
    pub(super) fn leave_seat(&self, connection: ConnectionId) {
        self.handle(Input::Closed { connection });
        let seat = self.seats.borrow_mut().try_remove(connection.0 as usize);
        drop(seat);
        self.settle();
    }

    /// Tells the core of something. [`settle`](Self::settle) has to follow, once for any
    /// number of calls.
    pub(super) fn handle(&self, input: Input) {
        self.broker.borrow_mut().handle(self.epoch.now(), input);
    }

    /// Says that the connection's task runs: it need not be woken.
    pub(super) fn attend(&self, connection: ConnectionId) {
        if let Some(seat) = self.seats.borrow_mut().get_mut(connection.0 as usize) {
            seat.waker = None;
        }
    }

    /// What the core has for a connection, if it was named ready.
    pub(super) fn next_packet(&self, connection: ConnectionId) -> Option<Outgoing> {
        let now = self.epoch.now();
        let next = self.broker.borrow_mut().next_packet(now, connection);
        if next.is_none()
            && let Some(seat) = self.seats.borrow_mut().get_mut(connection.0 as usize)
        {
            seat.ready = false;
        }
        next
    }

    /// Ready while the core has something for the connection; wakes its task otherwise.
    pub(super) fn poll_ready(&self, connection: ConnectionId, cx: &Context<'_>) -> Poll<()> {
        let mut seats = self.seats.borrow_mut();
        let Some(seat) = seats.get_mut(connection.0 as usize) else {
            return Poll::Pending;
        };
        if seat.ready {
            return Poll::Ready(());
        }
        seat.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Does what the core wants done.
    pub(super) fn settle(&self) {
        loop {
            let output = self.broker.borrow_mut().poll_output();
            match output {
                Some(Output::Ready(connection)) => self.wake(connection),
                // Without a store a core writes no records, and alone it has no one to
                // talk to; that it has stopped shows in its connections.
                Some(Output::Commit(_) | Output::Shard { .. } | Output::Stopped) => {}
                None => break,
            }
        }
        self.rearm();
    }

    fn wake(&self, connection: ConnectionId) {
        let mut seats = self.seats.borrow_mut();
        let Some(seat) = seats.get_mut(connection.0 as usize) else {
            return;
        };
        seat.ready = true;
        let waker = seat.waker.take();
        drop(seats);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn rearm(&self) {
        let due = self.broker.borrow().next_deadline();
        if self.due.replace(due) == due {
            return;
        }
        match due {
            Some(due) => self.deadline.arm(due.since(self.epoch.now())),
            None => self.deadline.disarm(),
        }
    }

    /// Sends every client away, paced by the core's limits. Doing it again changes nothing.
    pub(super) fn shut_down(&self) {
        if !self.leaving.replace(true) {
            self.handle(Input::Shutdown(ReasonCode::ServerShuttingDown));
            self.settle();
        }
    }
}

/// Tells the core the time whenever it asked to be told.
async fn tick(core: Weak<Core>) {
    loop {
        // Not held while waiting: the core is to end with its last user.
        let elapsed = std::future::poll_fn(|cx| match core.upgrade() {
            Some(core) => core.deadline.poll_elapsed(cx),
            None => Poll::Ready(()),
        });
        elapsed.await;
        let Some(core) = core.upgrade() else {
            return;
        };
        core.due.set(None);
        core.deadline.disarm();
        core.handle(Input::Tick);
        core.settle();
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        self.ticker.abort();
    }
}
