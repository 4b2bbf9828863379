//! Passive ejection: an endpoint that keeps failing those who use it gets a rest.
//!
//! One `Ejector` per upstream per worker, told how each use went and asked beside the
//! balancer. It does no I/O, and time is an argument. An endpoint is out for a time that
//! grows with each ejection in a row; on its return it is on probation, and the first
//! failure ends that. Never more than a share of the endpoints is out: failures of all are
//! more likely ours, or the network's.

use std::cell::Cell;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use tidegate_runtime::clock::Tick;

use crate::balance::EndpointIndex;

/// When endpoints are ejected, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EjectionPolicy {
    /// Failures in a row until an endpoint is out; zero ejects none.
    pub failures: u32,
    /// How long it is out the first time; twice as long with each further time in a row.
    pub base: Duration,
    /// The longest it is out at once.
    pub longest: Duration,
    /// The most endpoints out at once, in percent of all, rounded down.
    pub share_percent: u8,
}

impl Default for EjectionPolicy {
    fn default() -> Self {
        Self {
            failures: 5,
            base: Duration::from_secs(10),
            longest: Duration::from_secs(300),
            share_percent: 50,
        }
    }
}

/// What is known of one endpoint. Shared by the generations that know it.
#[derive(Debug)]
struct Record {
    /// Failures since the last success.
    failures: Cell<u32>,
    /// Ejections without a lasting recovery between them.
    ejections: Cell<u32>,
    /// When it was to be back, if it was ever out.
    out_until: Cell<Tick>,
}

impl Default for Record {
    fn default() -> Self {
        Self {
            failures: Cell::new(0),
            ejections: Cell::new(0),
            out_until: Cell::new(Tick::from_millis(0)),
        }
    }
}

/// An endpoint is out from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ejected {
    /// When it will be back.
    pub(crate) until: Tick,
    /// Failures in a row that led to it.
    pub(crate) failures: u32,
}

/// Decides who is out; see the module.
#[derive(Debug)]
pub(crate) struct Ejector {
    policy: EjectionPolicy,
    keys: Vec<Box<str>>,
    records: Vec<Rc<Record>>,
    /// No endpoint is out after this: what most questions are answered with.
    all_back: Rc<Cell<Tick>>,
}

impl Ejector {
    /// An ejector for the endpoints with these keys, which knows what `old` knows of them.
    pub(crate) fn new<'k>(
        policy: EjectionPolicy,
        keys: impl IntoIterator<Item = &'k str>,
        old: Option<&Self>,
    ) -> Self {
        let known: HashMap<&str, &Rc<Record>> = old
            .into_iter()
            .flat_map(|old| old.keys.iter().map(|key| &**key).zip(&old.records))
            .collect();
        let keys: Vec<Box<str>> = keys.into_iter().map(Box::from).collect();
        let records: Vec<_> = keys
            .iter()
            .map(|key| {
                known
                    .get(&**key)
                    .map_or_else(Rc::default, |it| Rc::clone(it))
            })
            .collect();
        let all_back = old.map(|old| Rc::clone(&old.all_back));
        Self {
            policy,
            keys,
            records,
            all_back: all_back.unwrap_or_else(|| Rc::new(Cell::new(Tick::from_millis(0)))),
        }
    }

    /// Whether any endpoint may be out at `now`: the quick answer for when all is well.
    pub(crate) fn may_be_any_out(&self, now: Tick) -> bool {
        now < self.all_back.get()
    }

    /// Whether `endpoint` is out at `now`; an unknown one is not.
    pub(crate) fn is_out(&self, endpoint: EndpointIndex, now: Tick) -> bool {
        let record = self.records.get(endpoint.0);
        record.is_some_and(|record| now < record.out_until.get())
    }

    /// Whether nothing speaks against `endpoint`: then another good use changes nothing.
    pub(crate) fn is_spotless(&self, endpoint: EndpointIndex) -> bool {
        let record = self.records.get(endpoint.0);
        record.is_none_or(|it| it.failures.get() == 0 && it.ejections.get() == 0)
    }

    /// A use of `endpoint` went well.
    pub(crate) fn succeeded(&self, endpoint: EndpointIndex, now: Tick) {
        let Some(record) = self.records.get(endpoint.0) else {
            return;
        };
        record.failures.set(0);
        // Back for as long as it was out: it has recovered, and starts anew.
        let ejections = record.ejections.get();
        if ejections > 0 && now >= record.out_until.get() + self.length(ejections) {
            record.ejections.set(0);
        }
    }

    /// A use of `endpoint` failed. Tells whether that puts it out.
    pub(crate) fn failed(&self, endpoint: EndpointIndex, now: Tick) -> Option<Ejected> {
        let record = self.records.get(endpoint.0)?;
        let failures = record.failures.get().saturating_add(1);
        record.failures.set(failures);
        let on_probation = record.ejections.get() > 0;
        let enough = if on_probation {
            1
        } else {
            self.policy.failures
        };
        // One that is out already is used only when all are: that says nothing new.
        if self.policy.failures == 0
            || failures < enough
            || now < record.out_until.get()
            || !self.has_room(now)
        {
            return None;
        }
        let ejections = record.ejections.get().saturating_add(1);
        let until = now + self.length(ejections);
        record.ejections.set(ejections);
        record.out_until.set(until);
        self.all_back.set(self.all_back.get().max(until));
        Some(Ejected { until, failures })
    }

    /// How many are out at `now`.
    pub(crate) fn out(&self, now: Tick) -> usize {
        let records = self.records.iter();
        records.filter(|it| now < it.out_until.get()).count()
    }

    fn has_room(&self, now: Tick) -> bool {
        let most = self.records.len() * usize::from(self.policy.share_percent) / 100;
        self.out(now) < most
    }

    /// How long the ejection of this number is.
    fn length(&self, ejections: u32) -> Duration {
        let doubled = 2_u32.saturating_pow(ejections.saturating_sub(1));
        let length = self.policy.base.saturating_mul(doubled);
        length.min(self.policy.longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: EjectionPolicy = EjectionPolicy {
        failures: 3,
        base: Duration::from_secs(10),
        longest: Duration::from_secs(60),
        share_percent: 50,
    };
    const KEYS: [&str; 4] = ["a", "b", "c", "d"];
    const START: Tick = Tick::from_millis(1_000_000);

    fn at(seconds: u64) -> Tick {
        START + Duration::from_secs(seconds)
    }

    fn eject(ejector: &Ejector, endpoint: usize, now: Tick) -> Option<Ejected> {
        let endpoint = EndpointIndex(endpoint);
        (0..3).find_map(|_| ejector.failed(endpoint, now))
    }

    #[test]
    fn failures_have_to_come_in_a_row() {
        let ejector = Ejector::new(POLICY, KEYS, None);
        let endpoint = EndpointIndex(0);
        for second in 0..100 {
            assert_eq!(ejector.failed(endpoint, at(second)), None);
            assert_eq!(ejector.failed(endpoint, at(second)), None);
            ejector.succeeded(endpoint, at(second));
        }
        assert!(!ejector.may_be_any_out(at(100)));
        let ejected = eject(&ejector, 0, at(100));
        let expected = Ejected {
            until: at(110),
            failures: 3,
        };
        assert_eq!(ejected, Some(expected));
        assert!(ejector.is_out(endpoint, at(109)));
        assert!(!ejector.is_out(endpoint, at(110)));
    }

    #[test]
    fn the_rest_grows_while_an_endpoint_does_not_recover_and_is_bounded() {
        let ejector = Ejector::new(POLICY, KEYS, None);
        let endpoint = EndpointIndex(0);
        let mut now = eject(&ejector, 0, at(0)).map(|it| it.until);
        let mut lengths = Vec::new();
        for _ in 0..5 {
            // On probation one failure is enough.
            let back = now.unwrap_or(START);
            let ejected = ejector.failed(endpoint, back);
            lengths.extend(ejected.map(|it| it.until.since(back).as_secs()));
            now = ejected.map(|it| it.until);
        }
        assert_eq!(lengths, [20, 40, 60, 60, 60]);
        // A good use long after it is back wipes the slate; one soon after does not.
        let back = now.unwrap_or(START);
        ejector.succeeded(endpoint, back + Duration::from_secs(1));
        let second = Duration::from_secs(2);
        assert!(ejector.failed(endpoint, back + second).is_some());
        let later = back + Duration::from_secs(1000);
        ejector.succeeded(endpoint, later);
        assert_eq!(ejector.failed(endpoint, later), None);
        let fresh = eject(&ejector, 0, later).map(|it| it.until.since(later).as_secs());
        assert_eq!(fresh, Some(10));
    }

    #[test]
    fn no_more_than_the_share_is_out_at_once() {
        let ejector = Ejector::new(POLICY, KEYS, None);
        for endpoint in 0..4 {
            assert_eq!(eject(&ejector, endpoint, at(0)).is_some(), endpoint < 2);
        }
        assert_eq!(ejector.out(at(5)), 2);
        // When some are back, others may go.
        assert!(eject(&ejector, 3, at(11)).is_some());
        let alone = Ejector::new(POLICY, ["a"], None);
        assert_eq!(eject(&alone, 0, at(0)), None);
    }

    #[test]
    fn an_update_carries_on_with_what_is_known() {
        let old = Ejector::new(POLICY, KEYS, None);
        assert!(eject(&old, 1, at(0)).is_some());
        let new = Ejector::new(POLICY, ["x", "b", "y"], Some(&old));
        assert!(new.may_be_any_out(at(5)));
        assert!(new.is_out(EndpointIndex(1), at(5)));
        assert!(!new.is_out(EndpointIndex(0), at(5)));
        // The generation that leaves and its successor see the same endpoint.
        assert_eq!(new.failed(EndpointIndex(1), at(5)), None);
        assert!(new.failed(EndpointIndex(1), at(10)).is_some());
        assert!(old.is_out(EndpointIndex(1), at(11)));
    }

    #[test]
    fn zero_failures_turn_it_off() {
        let policy = EjectionPolicy {
            failures: 0,
            ..POLICY
        };
        let ejector = Ejector::new(policy, KEYS, None);
        assert_eq!(eject(&ejector, 0, at(0)), None);
    }
}
