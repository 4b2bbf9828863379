//! Names of endpoints, resolved off the workers.
//!
//! One [`Resolver`] runs on the control thread. Chains ask its [`ResolverHandle`] to
//! [`watch`](ResolverHandle::watch) a name while they are built, and read the
//! [`Resolved`] addresses without waiting. A name is looked up again every
//! [`ResolverSettings::refresh`] for as long as somebody holds its `Resolved`. A lookup
//! that fails leaves the last good answer in place. Failures, recoveries and changes
//! are logged once each, not once per lookup.

mod lookup;
mod name;
mod schedule;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::Notify;
use tokio::time::Instant;

pub use lookup::{Lookup, SystemLookup};
pub use name::{Addresses, NotReady, Resolved, ResolvedStatus};

use name::Name;
use schedule::Schedule;

/// The most addresses kept of one answer.
pub const ADDRESSES_MAX: usize = 256;

/// How names are looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResolverSettings {
    /// From one answer to the next lookup. The system's resolver tells no TTL.
    pub refresh: Duration,
    /// After this long, a lookup counts as failed. Its late answer still counts when
    /// it comes, for the system's resolver cannot be interrupted.
    pub timeout: Duration,
    /// After this long, a lookup is given up. Until then it keeps its place among
    /// [`lookups_max`](Self::lookups_max).
    pub give_up: Duration,
    /// From a first failure to the next lookup; doubled with each further failure, up
    /// to `refresh`.
    pub retry: Duration,
    /// How many lookups run at once.
    pub lookups_max: usize,
}

impl Default for ResolverSettings {
    fn default() -> Self {
        Self {
            refresh: Duration::from_secs(10),
            timeout: Duration::from_secs(5),
            give_up: Duration::from_secs(60),
            retry: Duration::from_millis(500),
            lookups_max: 8,
        }
    }
}

/// Creates a resolver and the handle to it.
pub fn resolver(settings: ResolverSettings) -> (ResolverHandle, Resolver) {
    let handle = ResolverHandle::default();
    let registry = Arc::clone(&handle.registry);
    (handle, Resolver { settings, registry })
}

/// Where chains ask for names; cheap to clone, the same for every worker.
#[derive(Clone, Debug, Default)]
pub struct ResolverHandle {
    registry: Arc<Registry>,
}

#[derive(Debug, Default)]
struct Registry {
    names: Mutex<Names>,
    /// Told when `Names::new` has got something.
    changed: Notify,
}

#[derive(Debug, Default)]
struct Names {
    watched: HashMap<(Box<str>, u16), Weak<Name>>,
    /// Not yet known to the resolver.
    new: Vec<Weak<Name>>,
}

impl ResolverHandle {
    /// The addresses of `host`, looked up from now on and until every clone of the
    /// answer is dropped. Whoever watches the same name shares one answer, so a chain
    /// that replaces another finds it resolved. An IP address is its own answer.
    ///
    /// Takes a lock for a moment: call it while building, not for each request.
    pub fn watch(&self, host: &str, port: u16) -> Resolved {
        let literal = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        if let Ok(address) = literal.unwrap_or(host).parse::<IpAddr>() {
            return Resolved::fixed(host, SocketAddr::new(address, port));
        }
        let mut names = self.registry.lock();
        let entry = names.watched.entry((host.into(), port)).or_default();
        if let Some(name) = entry.upgrade() {
            return Resolved::new(name);
        }
        let name = Arc::new(Name::new(host, port));
        *entry = Arc::downgrade(&name);
        names.new.push(Arc::downgrade(&name));
        drop(names);
        self.registry.changed.notify_one();
        Resolved::new(name)
    }

    /// How many names are looked up: each that somebody holds, and those dropped since
    /// their last turn.
    pub fn watched(&self) -> usize {
        self.registry.lock().watched.len()
    }
}

impl Registry {
    fn lock(&self) -> MutexGuard<'_, Names> {
        // Nothing panics while holding it half-changed.
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes off the list what nobody holds any more.
    fn prune(&self) {
        let mut names = self.lock();
        names.watched.retain(|_, name| name.strong_count() > 0);
    }
}

/// Looks names up until it is told to stop.
#[derive(Debug)]
pub struct Resolver {
    settings: ResolverSettings,
    registry: Arc<Registry>,
}

impl Resolver {
    /// Runs until `shutdown` ends. Needs a tokio runtime with time enabled; all waiting
    /// is done here, on one task. Lookups under way are dropped at the end, and what was
    /// resolved stays readable.
    pub async fn run<L: Lookup>(self, lookup: L, shutdown: impl Future<Output = ()>) {
        let mut shutdown = std::pin::pin!(shutdown);
        let mut schedule = Schedule::default();
        let mut under_way = FuturesUnordered::new();
        loop {
            let new = std::mem::take(&mut self.registry.lock().new);
            for name in new {
                schedule.add(Instant::now(), name);
            }
            while under_way.len() < self.settings.lookups_max.max(1)
                && let Some(due) = schedule.take_due(Instant::now())
            {
                match due.upgrade() {
                    Some(name) => under_way.push(self.look_up(&lookup, name)),
                    None => self.registry.prune(),
                }
            }
            let has_room = under_way.len() < self.settings.lookups_max.max(1);
            let next = schedule.next().filter(|_| has_room);
            tokio::select! {
                () = &mut shutdown => return,
                () = self.registry.changed.notified() => {}
                Some((name, next)) = under_way.next() => schedule.add(next, Arc::downgrade(&name)),
                () = at(next) => {}
            }
        }
    }

    /// One lookup, to its late end; says when the next is due.
    async fn look_up<L: Lookup>(&self, lookup: &L, name: Arc<Name>) -> (Arc<Name>, Instant) {
        let settings = &self.settings;
        let mut answer = std::pin::pin!(lookup.lookup(name.host(), name.port()));
        let in_time = tokio::time::timeout(settings.timeout, &mut answer).await;
        let failures = match in_time {
            Ok(answer) => name.record(answer),
            Err(_) => {
                let failures = name.failed(&format!("no answer within {:?}", settings.timeout));
                let left = settings.give_up.saturating_sub(settings.timeout);
                match tokio::time::timeout(left, answer).await {
                    Ok(Ok(addresses)) => name.record(Ok(addresses)),
                    // The failure is on record already.
                    Ok(Err(_)) | Err(_) => failures,
                }
            }
        };
        let pause = match failures {
            0 => settings.refresh,
            more => backoff(settings, more),
        };
        let next = Instant::now() + pause;
        (Arc::clone(&name), next)
    }
}

fn backoff(settings: &ResolverSettings, failures: u32) -> Duration {
    let doubled = 2_u32.saturating_pow(failures - 1);
    settings.retry.saturating_mul(doubled).min(settings.refresh)
}

async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
