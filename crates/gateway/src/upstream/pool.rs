//! Idle connections to one endpoint, on one worker.
//!
//! The last one back is the first one out, so that a quiet hour leaves the
//! spares to age. Nobody watches an idle connection: whether it is still good is
//! looked at when it is wanted, which usually costs no system call, and a reaper
//! that exists only while there is something to reap ends those that aged or
//! were closed by the other side.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::{Rc, Weak};
use std::time::Duration;

use tidegate_http::client::{ClientConnection, ConnectionHome, Readiness};
use tidegate_runtime::clock::{self, Tick};
use tidegate_runtime::deadline::Deadline;

/// How often the idle connections are looked through, at the least.
const REAP_INTERVAL_MAX: Duration = Duration::from_secs(5);
/// How often at the most.
const REAP_INTERVAL_MIN: Duration = Duration::from_millis(50);
/// How many connections that are still busy one request passes over.
const PASSED_OVER_MAX: usize = 8;

/// Bounds of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolLimits {
    /// The most idle connections kept.
    pub idle: usize,
    /// The longest one is kept idle.
    pub idle_timeout: Duration,
    /// How many requests one may carry.
    pub requests: u64,
}

impl Default for PoolLimits {
    fn default() -> Self {
        Self {
            idle: 256,
            idle_timeout: Duration::from_secs(60),
            requests: 100_000,
        }
    }
}

/// A connection that can wait in a pool.
pub trait Pooled: 'static {
    /// Since when it has been idle.
    fn idle_since(&self) -> Tick;

    /// How many requests it has carried.
    fn requests(&self) -> u64;

    /// Whether it can carry a request now.
    fn readiness(&mut self) -> Readiness;
}

impl Pooled for ClientConnection {
    fn idle_since(&self) -> Tick {
        self.idle_since()
    }

    fn requests(&self) -> u64 {
        self.requests()
    }

    fn readiness(&mut self) -> Readiness {
        self.readiness()
    }
}

/// The idle connections to one endpoint. Shared by the generations that know it.
#[derive(Debug)]
pub struct Pool<C = ClientConnection> {
    idle: RefCell<VecDeque<C>>,
    /// That of the generation that gave a connection back last.
    idle_timeout: Cell<Duration>,
    reaped: Cell<bool>,
}

impl<C> Default for Pool<C> {
    fn default() -> Self {
        Self {
            idle: RefCell::default(),
            idle_timeout: Cell::default(),
            reaped: Cell::default(),
        }
    }
}

impl<C: Pooled> Pool<C> {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.idle.borrow().len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.idle.borrow().is_empty()
    }

    /// The connection that came back last and can carry a request now.
    pub fn take(&self, limits: PoolLimits) -> Option<C> {
        let now = clock::now();
        let mut idle = self.idle.borrow_mut();
        let mut passed_over = Vec::new();
        let mut found = None;
        while let Some(mut connection) = idle.pop_back() {
            if now.since(connection.idle_since()) >= limits.idle_timeout {
                // What came back before it has been idle for longer still.
                idle.clear();
                break;
            }
            match connection.readiness() {
                Readiness::Ready => {
                    found = Some(connection);
                    break;
                }
                Readiness::Busy if passed_over.len() < PASSED_OVER_MAX => {
                    passed_over.push(connection);
                }
                Readiness::Busy | Readiness::Dead => {}
            }
        }
        idle.extend(passed_over.into_iter().rev());
        found
    }

    pub(super) fn put(self: &Rc<Self>, connection: C, limits: PoolLimits) {
        if connection.requests() >= limits.requests {
            return;
        }
        let mut idle = self.idle.borrow_mut();
        idle.push_back(connection);
        while idle.len() > limits.idle {
            idle.pop_front();
        }
        drop(idle);
        self.idle_timeout.set(limits.idle_timeout);
        if !self.reaped.replace(true) {
            tokio::task::spawn_local(reap(Rc::downgrade(self), limits.idle_timeout));
        }
    }

    /// Drops what is too old or dead; the limit to go by if any is left.
    fn reap(&self) -> Option<Duration> {
        let now = clock::now();
        let idle_timeout = self.idle_timeout.get();
        let mut idle = self.idle.borrow_mut();
        idle.retain_mut(|connection| {
            now.since(connection.idle_since()) < idle_timeout
                && connection.readiness() != Readiness::Dead
        });
        if idle.is_empty() {
            self.reaped.set(false);
        }
        (!idle.is_empty()).then_some(idle_timeout)
    }
}

async fn reap<C: Pooled>(pool: Weak<Pool<C>>, idle_timeout: Duration) {
    let deadline = Deadline::new();
    let mut limit = Some(idle_timeout);
    while let Some(idle_timeout) = limit {
        deadline.arm((idle_timeout / 2).clamp(REAP_INTERVAL_MIN, REAP_INTERVAL_MAX));
        deadline.elapsed().await;
        // The pool is not kept alive by its reaper.
        limit = pool.upgrade().and_then(|pool| pool.reap());
    }
}

/// A generation's door to a pool: its limits hold for what comes back through it.
struct Home {
    pool: Rc<Pool>,
    limits: PoolLimits,
}

impl Pool {
    /// Where connections go whose responses have been read: here, within these limits.
    pub fn home(self: &Rc<Self>, limits: PoolLimits) -> Rc<dyn ConnectionHome> {
        Rc::new(Home {
            pool: Rc::clone(self),
            limits,
        })
    }
}

impl ConnectionHome for Home {
    fn give_back(&self, connection: ClientConnection) {
        self.pool.put(connection, self.limits);
    }
}
