//! Counting Thrift calls by method.
//!
//! Methods are named by clients, and memory is ours: a method gets cells of its own once
//! an upstream has replied to it, and at most [`METHODS_MAX`] of a site do.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::{BUCKETS_MS, Cell, Key, SiteMeter, this_worker};

/// The most methods of a site that are counted apart.
pub const METHODS_MAX: usize = 1000;

/// The name that calls of all other methods are counted under.
pub const OTHER_METHODS: &str = "-";

/// What became of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallOutcome {
    /// A reply, which may tell of an exception that the service declares.
    Reply,
    /// An exception of the upstream's Thrift library.
    Exception,
    /// An exception of the gateway's own.
    Fault,
    /// Passed on, and no answer is due.
    OneWay,
}

impl CallOutcome {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Reply, Self::Exception, Self::Fault, Self::OneWay];

    /// A stable name for metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Reply => "reply",
            Self::Exception => "exception",
            Self::Fault => "fault",
            Self::OneWay => "one_way",
        }
    }
}

/// A worker's figures of one method. On cache lines of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct CallCells {
    outcomes: [Cell; CallOutcome::ALL.len()],
    buckets: [Cell; BUCKETS_MS.len() + 1],
    sum_ms: Cell,
}

impl CallCells {
    fn count(&self, outcome: CallOutcome, duration: Duration) {
        self.outcomes[outcome as usize].add(1);
        let duration_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let bucket = BUCKETS_MS.iter().position(|bound| duration_ms <= *bound);
        self.buckets[bucket.unwrap_or(BUCKETS_MS.len())].add(1);
        self.sum_ms.add(duration_ms);
    }
}

/// The figures of one method, of all workers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallFigures {
    /// Calls by [outcome](CallOutcome::ALL).
    pub outcomes: [u64; CallOutcome::ALL.len()],
    /// Calls by duration; the last are those beyond every bound.
    pub buckets: [u64; BUCKETS_MS.len() + 1],
    /// The durations added up, in milliseconds.
    pub sum_ms: u64,
}

impl CallFigures {
    pub(super) fn add(&mut self, cells: &CallCells) {
        for (total, cell) in self.outcomes.iter_mut().zip(&cells.outcomes) {
            *total += cell.get();
        }
        for (total, cell) in self.buckets.iter_mut().zip(&cells.buckets) {
            *total += cell.get();
        }
        self.sum_ms += cells.sum_ms.get();
    }
}

/// The cells of every method, by site and name.
pub(super) type Methods = BTreeMap<Key, BTreeMap<usize, Arc<CallCells>>>;

/// What a site's calls are counted with on one worker.
#[derive(Debug)]
pub struct CallMeter {
    site: SiteMeter,
    known: RefCell<HashMap<Box<str>, Arc<CallCells>>>,
    other: Arc<CallCells>,
}

impl CallMeter {
    /// The calling worker's meter of `site`. Takes a lock.
    pub fn new(site: &SiteMeter) -> Self {
        Self {
            other: site.method(OTHER_METHODS),
            known: RefCell::default(),
            site: site.clone(),
        }
    }

    /// Counts a call. Takes a lock at a method's first reply alone.
    pub fn count(&self, method: &str, outcome: CallOutcome, duration: Duration) {
        let mut known = self.known.borrow_mut();
        if let Some(cells) = known.get(method) {
            return cells.count(outcome, duration);
        }
        if outcome != CallOutcome::Reply || known.len() >= METHODS_MAX {
            return self.other.count(outcome, duration);
        }
        let cells = self.site.method(method);
        cells.count(outcome, duration);
        known.insert(method.into(), cells);
    }
}

impl SiteMeter {
    fn method(&self, name: &str) -> Arc<CallCells> {
        let mut cells = self.meters.cells();
        let workers = cells.methods.entry(self.key(&name.into())).or_default();
        Arc::clone(workers.entry(this_worker()).or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::super::Meters;
    use super::*;

    #[test]
    fn names_that_nobody_replied_to_get_no_figures_of_their_own() {
        let meters = Meters::default();
        let meter = CallMeter::new(&meters.site("store"));
        let duration = Duration::from_millis(7);
        meter.count("get", CallOutcome::Reply, duration);
        meter.count("get", CallOutcome::Fault, duration);
        for number in 0..10 {
            meter.count(&format!("junk{number}"), CallOutcome::Exception, duration);
        }
        let calls = meters.calls();
        let of = |method: &str| calls[&("store".into(), method.into())].outcomes;
        assert_eq!(of("get"), [1, 0, 1, 0]);
        assert_eq!(of(OTHER_METHODS), [0, 10, 0, 0]);
        assert_eq!(calls.len(), 2);
        meters.retain_calls(|_| false);
        assert!(meters.calls().is_empty());
    }

    #[test]
    fn methods_beyond_the_most_are_counted_together() {
        let meters = Meters::default();
        let meter = CallMeter::new(&meters.site("store"));
        for number in 0..METHODS_MAX + 5 {
            let name = format!("m{number}");
            meter.count(&name, CallOutcome::Reply, Duration::ZERO);
        }
        let calls = meters.calls();
        assert_eq!(calls.len(), METHODS_MAX + 1);
        let others = &calls[&("store".into(), OTHER_METHODS.into())];
        assert_eq!(others.outcomes[0], 5);
    }
}
