//! Work that can be dropped from outside at once.
//!
//! A task that is aborted drops its future when the runtime next looks at it, which may be
//! after the next attempt has begun: for that long, there would be two.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::task::Poll;

use tokio::task::{AbortHandle, spawn_local};

use crate::error::BoxError;
use crate::service::{Exit, Work};

type Cell = Rc<RefCell<Option<Work>>>;

/// A part of a service that runs as a task of its own.
pub(crate) struct Severable {
    work: Cell,
    task: AbortHandle,
}

impl Severable {
    /// Starts `work`, as `judge` has it.
    pub(crate) fn spawn<J, F>(work: Work, judge: J) -> Self
    where
        J: FnOnce(Work) -> F,
        F: Future<Output = ()> + 'static,
    {
        let work: Cell = Rc::new(RefCell::new(Some(work)));
        let lent = Rc::clone(&work);
        let polled = poll_fn(move |cx| poll(&lent, cx));
        let task = spawn_local(judge(Box::pin(polled)));
        Self {
            work,
            task: task.abort_handle(),
        }
    }

    /// Drops it, unless it has ended. Nothing of it is left when this returns.
    pub(crate) fn sever(&self) {
        self.task.abort();
        let work = self.work.borrow_mut().take();
        // Destructors of others, which end nothing here but themselves.
        if catch_unwind(AssertUnwindSafe(|| drop(work))).is_err() {
            tracing::error!("a service that was dropped panicked in a destructor");
        }
    }
}

fn poll(work: &Cell, cx: &mut std::task::Context<'_>) -> Poll<Result<Exit, BoxError>> {
    match work.borrow_mut().as_mut() {
        Some(work) => work.as_mut().poll(cx),
        // Severed: the task is about to be dropped.
        None => Poll::Pending,
    }
}
