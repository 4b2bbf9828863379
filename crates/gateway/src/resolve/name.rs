//! One name's answer: written by the resolver, read by the workers.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};
use tokio::sync::Notify;

use super::ADDRESSES_MAX;

#[derive(Debug)]
pub(super) struct Name {
    host: Box<str>,
    port: u16,
    addresses: ArcSwap<Vec<SocketAddr>>,
    /// Told at every first answer.
    answered: Notify,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    failures: u32,
    last_failure: Option<String>,
}

impl Name {
    pub(super) fn new(host: &str, port: u16) -> Self {
        Self {
            host: host.into(),
            port,
            addresses: ArcSwap::default(),
            answered: Notify::new(),
            state: Mutex::default(),
        }
    }

    pub(super) fn host(&self) -> &str {
        &self.host
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Takes an answer and returns how many lookups failed in a row.
    pub(super) fn record(&self, answer: io::Result<Vec<SocketAddr>>) -> u32 {
        match answer {
            Ok(addresses) if addresses.is_empty() => self.failed("the name has no address"),
            Ok(addresses) => {
                self.succeeded(addresses);
                0
            }
            Err(error) => self.failed(&error.to_string()),
        }
    }

    /// Notes a failure and returns how many there were in a row.
    pub(super) fn failed(&self, why: &str) -> u32 {
        let mut state = self.state();
        state.failures = state.failures.saturating_add(1);
        state.last_failure = Some(why.to_owned());
        if state.failures == 1 {
            let kept = self.addresses.load().len();
            tracing::warn!(host = %self.host, why, kept, "cannot resolve a name; keeping the last good answer");
        }
        state.failures
    }

    fn succeeded(&self, mut addresses: Vec<SocketAddr>) {
        let failures = std::mem::take(&mut *self.state()).failures;
        if failures > 0 {
            tracing::info!(host = %self.host, failures, "a name resolves again");
        }
        let mut seen = std::collections::HashSet::new();
        addresses.retain(|address| seen.insert(*address));
        addresses.truncate(ADDRESSES_MAX);
        let old = self.addresses.load();
        // Servers rotate their answers: another order is no change.
        let unchanged = old.len() == addresses.len() && old.iter().all(|old| seen.contains(old));
        if unchanged {
            return;
        }
        if !old.is_empty() {
            tracing::info!(host = %self.host, ?addresses, "a name has new addresses");
        }
        self.addresses.store(Arc::new(addresses));
        self.answered.notify_waiters();
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A name's addresses, kept up to date while this or a clone of it lives.
#[derive(Clone)]
pub struct Resolved {
    name: Arc<Name>,
}

/// How a name is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResolvedStatus {
    /// No lookup has ended yet.
    Pending,
    /// The last lookup succeeded.
    Good,
    /// The last lookup failed; the addresses, if any, are older.
    Failing {
        /// How many lookups failed in a row.
        failures: u32,
        /// Why the last one did.
        why: String,
    },
}

/// A name had no answer in time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{host}` does not resolve: {}", .why.as_deref().unwrap_or("no answer yet"))]
pub struct NotReady {
    /// The name.
    pub host: String,
    /// Why the last lookup failed, if one did.
    pub why: Option<String>,
}

/// The addresses at one moment, best first.
#[derive(Debug)]
pub struct Addresses(Guard<Arc<Vec<SocketAddr>>>);

impl Deref for Addresses {
    type Target = [SocketAddr];

    fn deref(&self) -> &[SocketAddr] {
        &self.0
    }
}

impl fmt::Debug for Resolved {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Resolved")
            .field("host", &self.name.host)
            .field("addresses", &self.addresses())
            .finish_non_exhaustive()
    }
}

impl Resolved {
    pub(super) fn new(name: Arc<Name>) -> Self {
        Self { name }
    }

    pub(super) fn fixed(host: &str, address: SocketAddr) -> Self {
        let name = Name::new(host, address.port());
        name.addresses.store(Arc::new(vec![address]));
        Self::new(Arc::new(name))
    }

    /// The name, as it was asked for.
    pub fn host(&self) -> &str {
        &self.name.host
    }

    /// The addresses of the last good answer; empty before the first. No lock, no wait;
    /// do not hold it across an `await`.
    pub fn addresses(&self) -> Addresses {
        Addresses(self.name.addresses.load())
    }

    /// How the name is doing, for a status page.
    pub fn status(&self) -> ResolvedStatus {
        let state = self.name.state();
        match &state.last_failure {
            Some(why) => ResolvedStatus::Failing {
                failures: state.failures,
                why: why.clone(),
            },
            None if self.addresses().is_empty() => ResolvedStatus::Pending,
            None => ResolvedStatus::Good,
        }
    }

    /// Waits for the first answer, for `timeout` at most. A failed lookup does not end
    /// the wait: it is tried again meanwhile.
    ///
    /// # Errors
    ///
    /// When there is still none, with the last failure. What to do then is the caller's
    /// policy.
    ///
    /// # Cancellation
    ///
    /// Can be dropped and called again at will. Needs a runtime with time enabled.
    pub async fn ready(&self, timeout: Duration) -> Result<(), NotReady> {
        let answer = async {
            loop {
                let answered = self.name.answered.notified();
                if !self.addresses().is_empty() {
                    return;
                }
                answered.await;
            }
        };
        let in_time = tokio::time::timeout(timeout, answer).await;
        in_time.map_err(|_| NotReady {
            host: self.name.host.to_string(),
            why: self.name.state().last_failure.clone(),
        })
    }
}
