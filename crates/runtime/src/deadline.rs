//! Coarse deadlines: one per connection, moved by a store, never by a timer.
//!
//! A keep-alive request passes through several time limits (header, upstream,
//! idle). Giving each a timer of its own would create and drop several of them
//! per request. Here a connection owns one [`Deadline`] and re-arms it: putting
//! it off is a store into a cell, because the worker's wheel looks at an entry
//! only when the *earliest* time it was ever queued for comes, and queues it
//! anew if it has been put off meanwhile.
//!
//! The wheel is thread-local and is driven by one task and one runtime timer
//! per worker, which exist only while something is armed. Firing is late by at
//! most [`RESOLUTION`], never early.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use pin_project_lite::pin_project;
use tokio::sync::Notify;

use crate::clock::{self, Tick};

/// How late a deadline may fire: the width of a slot of the wheel.
pub const RESOLUTION: Duration = Duration::from_millis(RESOLUTION_MS);
const RESOLUTION_MS: u64 = 20;

const DISARMED: u64 = u64::MAX;
const FIRED: u64 = 0;

/// A time limit passed before the work was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the time limit passed")]
pub struct Elapsed;

impl From<Elapsed> for io::Error {
    fn from(elapsed: Elapsed) -> Self {
        Self::new(io::ErrorKind::TimedOut, elapsed)
    }
}

/// One connection's time limit, re-armed as it goes from phase to phase.
///
/// Dropping it takes it off the wheel. It must be used on the worker that made it.
#[derive(Debug)]
pub struct Deadline {
    entry: Rc<Entry>,
}

#[derive(Debug)]
struct Entry {
    /// When to fire in milliseconds, or [`DISARMED`], or [`FIRED`].
    at_ms: Cell<u64>,
    /// The slot and the position in it where the wheel holds this entry.
    queued: Cell<Option<(u64, usize)>>,
    waker: RefCell<Option<Waker>>,
}

impl Default for Deadline {
    fn default() -> Self {
        Self::new()
    }
}

impl Deadline {
    /// A deadline that is not armed: it never elapses.
    pub fn new() -> Self {
        Self {
            entry: Rc::new(Entry {
                at_ms: Cell::new(DISARMED),
                queued: Cell::new(None),
                waker: RefCell::new(None),
            }),
        }
    }

    /// Sets the limit to `after` from now, replacing any earlier one.
    ///
    /// # Panics
    ///
    /// Outside a tokio local runtime, because the wheel's task cannot be started.
    pub fn arm(&self, after: Duration) {
        let at = clock::now() + after;
        // Below DISARMED, above FIRED: a limit of centuries is no limit.
        self.entry.at_ms.set(at.as_millis().clamp(1, DISARMED - 1));
        let slot = slot_of(at);
        let sooner = match self.entry.queued.get() {
            Some((queued, _)) => slot < queued,
            None => true,
        };
        if sooner {
            WHEEL.with(|wheel| wheel.queue(&self.entry, slot));
        }
    }

    /// Takes the limit away.
    pub fn disarm(&self) {
        self.entry.at_ms.set(DISARMED);
    }

    /// Ready once the armed limit has passed; registers the task otherwise.
    ///
    /// Costs no clock read and, when the task is the one registered before, no
    /// allocation.
    pub fn poll_elapsed(&self, cx: &Context<'_>) -> Poll<()> {
        if self.entry.at_ms.get() == FIRED {
            return Poll::Ready(());
        }
        let mut waker = self.entry.waker.borrow_mut();
        match &*waker {
            Some(known) if known.will_wake(cx.waker()) => {}
            _ => *waker = Some(cx.waker().clone()),
        }
        Poll::Pending
    }

    /// Waits for the armed limit to pass. Never ends when disarmed.
    pub async fn elapsed(&self) {
        poll_fn(|cx| self.poll_elapsed(cx)).await;
    }

    /// Runs `work` to its end or until the armed limit passes.
    ///
    /// Work that is ready when the limit passes counts as done. On [`Elapsed`]
    /// the work is dropped with the returned future.
    pub fn run<F: Future>(&self, work: F) -> Run<'_, F> {
        Run {
            deadline: self,
            work,
        }
    }
}

impl Drop for Deadline {
    fn drop(&mut self) {
        // During thread exit the wheel may be gone already, and the entry with it.
        let _ = WHEEL.try_with(|wheel| wheel.remove(&self.entry));
    }
}

pin_project! {
    /// The future of [`Deadline::run`].
    #[derive(Debug)]
    pub struct Run<'a, F> {
        deadline: &'a Deadline,
        #[pin]
        work: F,
    }
}

impl<F: Future> Future for Run<'_, F> {
    type Output = Result<F::Output, Elapsed>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Poll::Ready(output) = this.work.poll(cx) {
            return Poll::Ready(Ok(output));
        }
        this.deadline.poll_elapsed(cx).map(|()| Err(Elapsed))
    }
}

thread_local! {
    static WHEEL: Wheel = Wheel::default();
}

#[derive(Default)]
struct Wheel {
    /// Entries by the slot at whose end they are looked at. Slots are removed
    /// when empty, so their number is bounded by the longest limit in use.
    slots: RefCell<BTreeMap<u64, Vec<Rc<Entry>>>>,
    driver: RefCell<Option<Rc<Notify>>>,
}

/// The first slot that ends at or after `at`.
fn slot_of(at: Tick) -> u64 {
    at.as_millis().div_ceil(RESOLUTION_MS)
}

impl Wheel {
    fn queue(&self, entry: &Rc<Entry>, slot: u64) {
        self.remove(entry);
        let mut slots = self.slots.borrow_mut();
        let earliest = slots.keys().next().is_none_or(|first| slot < *first);
        let entries = slots.entry(slot).or_default();
        entry.queued.set(Some((slot, entries.len())));
        entries.push(entry.clone());
        drop(slots);
        if earliest {
            self.wake_driver();
        }
    }

    fn remove(&self, entry: &Entry) {
        let Some((slot, position)) = entry.queued.take() else {
            return;
        };
        let mut slots = self.slots.borrow_mut();
        let Some(entries) = slots.get_mut(&slot) else {
            return;
        };
        entries.swap_remove(position);
        if let Some(moved) = entries.get(position) {
            moved.queued.set(Some((slot, position)));
        } else if entries.is_empty() {
            slots.remove(&slot);
        }
    }

    fn wake_driver(&self) {
        let mut driver = self.driver.borrow_mut();
        if let Some(driver) = &*driver {
            driver.notify_one();
            return;
        }
        let notify = Rc::new(Notify::new());
        *driver = Some(notify.clone());
        tokio::task::spawn_local(drive(notify));
    }

    /// Fires what is due at `now`, queues anew what was put off, and tells how
    /// long nothing else can become due.
    fn turn(&self, now: Tick) -> Option<Duration> {
        let now_slot = now.as_millis() / RESOLUTION_MS;
        loop {
            let (slot, entries) = {
                let mut slots = self.slots.borrow_mut();
                let first = slots.first_entry()?;
                if *first.key() > now_slot {
                    let due = Tick::from_millis(*first.key() * RESOLUTION_MS);
                    return Some(due.since(now));
                }
                first.remove_entry()
            };
            debug_assert!(slot <= now_slot);
            for entry in entries {
                entry.queued.set(None);
                self.settle(&entry, now);
            }
        }
    }

    fn settle(&self, entry: &Rc<Entry>, now: Tick) {
        let at_ms = entry.at_ms.get();
        if at_ms == DISARMED || at_ms == FIRED {
            return;
        }
        let at = Tick::from_millis(at_ms);
        if at > now {
            self.queue(entry, slot_of(at));
            return;
        }
        entry.at_ms.set(FIRED);
        if let Some(waker) = entry.waker.take() {
            waker.wake();
        }
    }
}

/// Forgets the driver when its runtime drops it, so that the next runtime on
/// this thread starts one of its own.
struct DriverGuard;

impl Drop for DriverGuard {
    fn drop(&mut self) {
        let _ = WHEEL.try_with(|wheel| wheel.driver.take());
    }
}

async fn drive(notify: Rc<Notify>) {
    let _guard = DriverGuard;
    loop {
        match WHEEL.with(|wheel| wheel.turn(clock::now())) {
            Some(wait) => {
                // A coarse clock may lag behind the timer that woke us by a tick.
                let wait = wait.max(Duration::from_millis(1));
                let _ = tokio::time::timeout(wait, notify.notified()).await;
            }
            None => notify.notified().await,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::time::Instant;

    use super::*;
    use crate::local::block_on;

    #[test]
    fn fires_after_its_limit_and_not_before() {
        block_on(async {
            let started = Instant::now();
            let deadline = Deadline::new();
            deadline.arm(Duration::from_millis(50));
            deadline.elapsed().await;
            assert!(started.elapsed() >= Duration::from_millis(45));
        });
    }

    #[test]
    fn putting_it_off_keeps_it_quiet() {
        block_on(async {
            let early = Deadline::new();
            let watch = Deadline::new();
            early.arm(Duration::from_millis(40));
            early.arm(Duration::from_secs(3600));
            watch.arm(Duration::from_millis(120));
            let outcome = watch.run(early.elapsed()).await;
            assert_eq!(outcome, Err(Elapsed));
        });
    }

    #[test]
    fn bringing_it_forward_counts() {
        block_on(async {
            let deadline = Deadline::new();
            deadline.arm(Duration::from_secs(3600));
            deadline.arm(Duration::from_millis(30));
            deadline.elapsed().await;
        });
    }

    #[test]
    fn can_be_armed_again_after_it_fired() {
        block_on(async {
            let deadline = Deadline::new();
            deadline.arm(Duration::from_millis(20));
            deadline.elapsed().await;
            deadline.arm(Duration::from_secs(3600));
            assert_eq!(deadline.run(async { 7 }).await, Ok(7));
            deadline.arm(Duration::from_millis(20));
            deadline.elapsed().await;
        });
    }

    #[test]
    fn dropping_and_disarming_leave_the_wheel_empty() {
        block_on(async {
            let deadlines: Vec<_> = (0..100).map(|_| Deadline::new()).collect();
            for (index, deadline) in deadlines.iter().enumerate() {
                deadline.arm(Duration::from_millis(1_000 + 7 * index as u64));
            }
            drop(deadlines);
            WHEEL.with(|wheel| assert!(wheel.slots.borrow().is_empty()));
        });
    }

    #[test]
    fn a_second_runtime_on_the_same_thread_gets_a_driver() {
        for _ in 0..2 {
            block_on(async {
                let deadline = Deadline::new();
                deadline.arm(Duration::from_millis(20));
                deadline.elapsed().await;
            });
        }
    }
}
