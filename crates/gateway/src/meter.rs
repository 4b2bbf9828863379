//! Counting requests where they are served, without a lock or a shared cache line.
//!
//! Each worker has cells of its own for each route and upstream, found once when a chain is
//! made; counting is an addition to memory nobody else writes. [`Meters`] knows all cells and
//! adds them up when somebody asks. Cells outlive the chains that write to them, so that
//! figures go on over updates.

mod calls;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::StatusCode;
use tidegate_runtime::clock::Tick;
use tidegate_runtime::relay::Relayed;
use tidegate_runtime::worker;

pub use self::calls::{CallCells, CallFigures, CallMeter, CallOutcome, METHODS_MAX, OTHER_METHODS};

/// The upper bounds of the duration buckets, in milliseconds. The clock is the coarse one: its
/// resolution is a few milliseconds.
pub const BUCKETS_MS: [u64; 11] = [5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000];

/// How many classes of status there are: from 1xx to 5xx.
pub const STATUS_CLASSES: usize = 5;

/// The name requests that found no route are counted under.
pub const UNROUTED: &str = "-";

/// One number that one thread adds to.
#[derive(Debug, Default)]
struct Cell(AtomicU64);

impl Cell {
    /// Not a read-modify-write: nobody else writes.
    fn add(&self, count: u64) {
        let before = self.0.load(Ordering::Relaxed);
        self.0.store(before.wrapping_add(count), Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A worker's figures of one route. On cache lines of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct RouteCells {
    classes: [Cell; STATUS_CLASSES],
    buckets: [Cell; BUCKETS_MS.len() + 1],
    sum_ms: Cell,
}

impl RouteCells {
    /// Counts a request that was answered with `status` after `duration`.
    pub fn count(&self, status: StatusCode, duration: Duration) {
        let class = usize::from(status.as_u16() / 100).clamp(1, STATUS_CLASSES) - 1;
        self.classes[class].add(1);
        let duration_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let bucket = BUCKETS_MS.iter().position(|bound| duration_ms <= *bound);
        self.buckets[bucket.unwrap_or(BUCKETS_MS.len())].add(1);
        self.sum_ms.add(duration_ms);
    }
}

/// A worker's figures of one upstream, from one site.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct UpstreamCells {
    reused: Cell,
    connected: Cell,
    failed: Cell,
    ejected: Cell,
    /// Until when the worker leaves an endpoint alone, by endpoint. Locked at an ejection and
    /// by who reads the figures: never for a request.
    out_until: Mutex<BTreeMap<Box<str>, Tick>>,
}

/// The most endpoints of an upstream whose ejections are remembered for the figures.
const EJECTED_ENDPOINTS_MAX: usize = 1024;

impl UpstreamCells {
    /// A request went out on a kept connection.
    pub(crate) fn count_reused(&self) {
        self.reused.add(1);
    }

    /// A connection was made.
    pub(crate) fn count_connected(&self) {
        self.connected.add(1);
    }

    /// A connection was not made.
    pub(crate) fn count_failed(&self) {
        self.failed.add(1);
    }

    /// An endpoint was ejected, and will be back at `until`.
    pub(crate) fn count_ejected(&self, endpoint: &str, until: Tick) {
        self.ejected.add(1);
        let mut out = self.out_until();
        if out.len() >= EJECTED_ENDPOINTS_MAX && !out.contains_key(endpoint) {
            // The one that has been back the longest, or is the first to be.
            let first = out.iter().min_by_key(|(_, until)| **until);
            if let Some(first) = first.map(|(endpoint, _)| endpoint.clone()) {
                out.remove(&first);
            }
        }
        out.insert(endpoint.into(), until);
    }

    fn out_until(&self) -> MutexGuard<'_, BTreeMap<Box<str>, Tick>> {
        self.out_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// A worker's figures of one TCP proxy.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct TcpCells {
    connections: Cell,
    forth_bytes: Cell,
    back_bytes: Cell,
}

impl TcpCells {
    /// A connection that had been passed on ended.
    pub fn count(&self, relayed: Relayed) {
        self.connections.add(1);
        self.forth_bytes.add(relayed.forth_bytes);
        self.back_bytes.add(relayed.back_bytes);
    }
}

/// The figures of one TCP proxy, of all workers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpFigures {
    /// Connections that were passed on and have ended.
    pub connections: u64,
    /// Bytes of theirs that went to endpoints.
    pub forth_bytes: u64,
    /// Bytes of theirs that came from endpoints.
    pub back_bytes: u64,
}

/// The figures of one route, of all workers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouteFigures {
    /// Requests by class of status, from 1xx.
    pub classes: [u64; STATUS_CLASSES],
    /// Requests by duration; the last are those beyond every bound.
    pub buckets: [u64; BUCKETS_MS.len() + 1],
    /// The durations added up, in milliseconds.
    pub sum_ms: u64,
}

/// The figures of one upstream, of all workers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UpstreamFigures {
    /// Requests on kept connections.
    pub reused: u64,
    /// Connections made.
    pub connected: u64,
    /// Connections not made.
    pub failed: u64,
    /// Ejections of endpoints, each of one worker.
    pub ejected: u64,
}

/// A site's name, and that of one of its routes or upstreams.
pub type Key = (Arc<str>, Arc<str>);

/// The cells of one route or upstream, by worker.
type PerWorker<C> = BTreeMap<usize, Arc<C>>;

#[derive(Debug, Default)]
struct Cells {
    routes: BTreeMap<Key, PerWorker<RouteCells>>,
    upstreams: BTreeMap<Key, PerWorker<UpstreamCells>>,
    proxies: BTreeMap<Arc<str>, PerWorker<TcpCells>>,
    methods: calls::Methods,
}

/// All cells of the process. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Meters(Arc<Mutex<Cells>>);

impl Meters {
    fn cells(&self) -> MutexGuard<'_, Cells> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the site called `name` counts with.
    pub fn site(&self, name: impl Into<Arc<str>>) -> SiteMeter {
        SiteMeter {
            meters: self.clone(),
            site: name.into(),
        }
    }

    /// The figures of every route, added up over the workers.
    pub fn routes(&self) -> BTreeMap<Key, RouteFigures> {
        let cells = self.cells();
        let routes = cells.routes.iter();
        routes
            .map(|(key, workers)| {
                let mut sum = RouteFigures::default();
                for cells in workers.values() {
                    for (total, cell) in sum.classes.iter_mut().zip(&cells.classes) {
                        *total += cell.get();
                    }
                    for (total, cell) in sum.buckets.iter_mut().zip(&cells.buckets) {
                        *total += cell.get();
                    }
                    sum.sum_ms += cells.sum_ms.get();
                }
                (key.clone(), sum)
            })
            .collect()
    }

    /// The figures of every upstream, added up over the workers.
    pub fn upstreams(&self) -> BTreeMap<Key, UpstreamFigures> {
        let cells = self.cells();
        let upstreams = cells.upstreams.iter();
        upstreams
            .map(|(key, workers)| {
                let mut sum = UpstreamFigures::default();
                for cells in workers.values() {
                    sum.reused += cells.reused.get();
                    sum.connected += cells.connected.get();
                    sum.failed += cells.failed.get();
                    sum.ejected += cells.ejected.get();
                }
                (key.clone(), sum)
            })
            .collect()
    }

    /// How many workers leave an endpoint alone at `now`, by site and upstream and by endpoint;
    /// none, too, once an endpoint was ever ejected.
    pub fn ejected(&self, now: Tick) -> BTreeMap<(Key, Box<str>), usize> {
        let cells = self.cells();
        let mut ejected = BTreeMap::new();
        for (key, workers) in &cells.upstreams {
            for cells in workers.values() {
                for (endpoint, until) in &*cells.out_until() {
                    let at = (key.clone(), endpoint.clone());
                    *ejected.entry(at).or_default() += usize::from(now < *until);
                }
            }
        }
        ejected
    }

    /// The figures of every TCP proxy by site, added up over the workers.
    pub fn proxies(&self) -> BTreeMap<Arc<str>, TcpFigures> {
        let cells = self.cells();
        let proxies = cells.proxies.iter();
        proxies
            .map(|(site, workers)| {
                let mut sum = TcpFigures::default();
                for cells in workers.values() {
                    sum.connections += cells.connections.get();
                    sum.forth_bytes += cells.forth_bytes.get();
                    sum.back_bytes += cells.back_bytes.get();
                }
                (Arc::clone(site), sum)
            })
            .collect()
    }

    /// The figures of every Thrift method by site and name, added up over the workers.
    pub fn calls(&self) -> BTreeMap<Key, CallFigures> {
        let cells = self.cells();
        let methods = cells.methods.iter();
        methods
            .map(|(key, workers)| {
                let mut sum = CallFigures::default();
                workers.values().for_each(|cells| sum.add(cells));
                (key.clone(), sum)
            })
            .collect()
    }

    /// Forgets the methods of sites for which the function says no.
    pub fn retain_calls(&self, site: impl Fn(&str) -> bool) {
        self.cells().methods.retain(|(name, _), _| site(name));
    }

    /// Forgets the TCP proxies of sites for which the function says no.
    pub fn retain_proxies(&self, site: impl Fn(&str) -> bool) {
        self.cells().proxies.retain(|name, _| site(name));
    }

    /// Forgets what is in no settings any more: routes and upstreams for which the functions,
    /// given the names of site and route or upstream, say no.
    pub fn retain(
        &self,
        route: impl Fn(&str, &str) -> bool,
        upstream: impl Fn(&str, &str) -> bool,
    ) {
        let mut cells = self.cells();
        cells.routes.retain(|(site, name), _| route(site, name));
        cells
            .upstreams
            .retain(|(site, name), _| upstream(site, name));
    }
}

/// What one site counts with. It gives out the calling worker's cells.
#[derive(Clone, Debug)]
pub struct SiteMeter {
    meters: Meters,
    site: Arc<str>,
}

impl SiteMeter {
    fn key(&self, name: &Arc<str>) -> Key {
        (Arc::clone(&self.site), Arc::clone(name))
    }

    /// The cells of a route. Takes a lock: call it while building, not for each request.
    pub fn route(&self, name: &Arc<str>) -> Arc<RouteCells> {
        let mut cells = self.meters.cells();
        let workers = cells.routes.entry(self.key(name)).or_default();
        Arc::clone(workers.entry(this_worker()).or_default())
    }

    /// The cells of an upstream. As [`Self::route`].
    pub fn upstream(&self, name: &Arc<str>) -> Arc<UpstreamCells> {
        let mut cells = self.meters.cells();
        let workers = cells.upstreams.entry(self.key(name)).or_default();
        Arc::clone(workers.entry(this_worker()).or_default())
    }
}

impl SiteMeter {
    /// The cells of the site as a TCP proxy. As [`Self::route`].
    pub fn tcp(&self) -> Arc<TcpCells> {
        let mut cells = self.meters.cells();
        let workers = cells.proxies.entry(Arc::clone(&self.site)).or_default();
        Arc::clone(workers.entry(this_worker()).or_default())
    }
}

/// Threads that are no workers share one set: they are used one at a time, in tests.
fn this_worker() -> usize {
    worker::current().map_or(usize::MAX, |index| index.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_go_on_over_updates_and_end_with_the_settings() {
        let meters = Meters::default();
        let route: Arc<str> = "/".into();
        let first = meters.site("web").route(&route);
        first.count(StatusCode::OK, Duration::from_millis(7));
        // The next generation's chain finds the same cells.
        let second = meters.site("web").route(&route);
        second.count(StatusCode::NOT_FOUND, Duration::from_secs(60));
        let figures = &meters.routes()[&("web".into(), Arc::clone(&route))];
        assert_eq!(figures.classes, [0, 1, 0, 1, 0]);
        assert_eq!(figures.buckets[1], 1);
        assert_eq!(figures.buckets[BUCKETS_MS.len()], 1);
        assert_eq!(figures.sum_ms, 60_007);
        meters.retain(|site, _| site != "web", |_, _| true);
        assert!(meters.routes().is_empty());
    }

    #[test]
    fn an_endpoint_is_ejected_until_its_time_is_over() {
        let meters = Meters::default();
        let cells = meters.site("web").upstream(&"app".into());
        let at = Tick::from_millis;
        cells.count_ejected("10.0.0.1:80", at(100));
        cells.count_ejected("10.0.0.2:80", at(200));
        let out = |now| meters.ejected(at(now)).into_values().collect::<Vec<_>>();
        assert_eq!(
            (out(99), out(100), out(200)),
            (vec![1, 1], vec![0, 1], vec![0, 0])
        );
        for number in 0..EJECTED_ENDPOINTS_MAX {
            cells.count_ejected(&format!("10.1.0.1:{number}"), at(300));
        }
        assert_eq!(out(250).len(), EJECTED_ENDPOINTS_MAX);
        meters.retain(|_, _| true, |_, _| false);
        assert!(out(250).is_empty());
    }
}
