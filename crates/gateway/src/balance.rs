//! Which of an upstream's endpoints serves the next request or connection.
//!
//! One [`Balancer`] per upstream per worker, asked by whatever forwards: it knows
//! no protocol. It never waits, and picks in one or two passes over the endpoints.
//! An update builds the successor with [`Balancer::inherit`], so shares and the
//! counts of requests under way carry on by endpoint key, whatever was added,
//! removed or reordered.

mod random;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use random::Random;

/// How endpoints take turns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Balance {
    /// In turn by weight, evenly spread out (smooth weighted round robin).
    #[default]
    RoundRobin,
    /// By chance, by weight.
    Random,
    /// The one with the fewest requests under way for its weight; in turn among equals.
    LeastRequests,
    /// The first one available, in the order of the settings: the rest stand by.
    First,
}

/// One endpoint as the settings state it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// What identifies it across updates: its address. Unique within an upstream.
    pub key: Box<str>,
    /// Its share against the others'; an endpoint of weight zero takes nothing.
    pub weight: u32,
}

impl Endpoint {
    /// An endpoint of weight one.
    pub fn new(key: impl Into<Box<str>>) -> Self {
        Self::weighted(key, 1)
    }

    /// An endpoint with a weight.
    pub fn weighted(key: impl Into<Box<str>>, weight: u32) -> Self {
        Self {
            key: key.into(),
            weight,
        }
    }
}

/// An endpoint's position in the list its balancer was built from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EndpointIndex(pub usize);

/// Picks endpoints; see the module.
///
/// ```
/// use tidegate_gateway::balance::{Balance, Balancer, Endpoint, EndpointIndex};
///
/// let endpoints = vec![Endpoint::weighted("10.0.0.1:80", 2), Endpoint::new("10.0.0.2:80")];
/// let balancer = Balancer::new(Balance::RoundRobin, endpoints, 42);
/// let mut turns = Vec::new();
/// for _ in 0..3 {
///     turns.push(balancer.pick(|_| true).expect("all are available").0);
/// }
/// assert_eq!(turns, [0, 1, 0]);
/// assert_eq!(balancer.pick(|endpoint| endpoint == EndpointIndex(9)), None);
/// ```
#[derive(Debug)]
pub struct Balancer {
    balance: Balance,
    endpoints: Vec<State>,
    random: Random,
    /// The endpoints tied in the pick under way; kept to spare its allocation.
    tied: RefCell<Vec<usize>>,
}

#[derive(Debug)]
struct State {
    key: Box<str>,
    weight: u32,
    /// How far the endpoint is behind its share: smooth round robin's one number.
    /// Picking leaves the sum over all endpoints as it is.
    credit: Cell<i64>,
    under_way: Rc<Cell<u32>>,
}

impl Balancer {
    /// A balancer without history. Give every worker another `seed`.
    pub fn new(balance: Balance, endpoints: Vec<Endpoint>, seed: u64) -> Self {
        Self::build(balance, endpoints, Random::new(seed), &HashMap::new())
    }

    /// The successor of `old`: endpoints with a key that `old` knows keep their credit
    /// and share its counts, so requests under way through either are seen by both.
    pub fn inherit(balance: Balance, endpoints: Vec<Endpoint>, old: &Self) -> Self {
        let known = old.endpoints.iter().map(|state| (&*state.key, state));
        let successor = Self::build(balance, endpoints, old.random.clone(), &known.collect());
        successor.settle();
        successor
    }

    /// The endpoint for the next request among those `available`, which must answer
    /// the same throughout the call; leave out there what is ejected, full or was
    /// tried already. `None` when nothing is left. Allocates nothing once warm.
    pub fn pick(&self, available: impl Fn(EndpointIndex) -> bool) -> Option<EndpointIndex> {
        let usable = self
            .endpoints
            .iter()
            .enumerate()
            .filter(|(at, state)| state.weight > 0 && available(EndpointIndex(*at)));
        match self.balance {
            Balance::First => usable.map(|(at, _)| at).next(),
            Balance::RoundRobin => self.next_in_turn(usable),
            Balance::Random => self.by_chance(usable),
            Balance::LeastRequests => self.least_loaded(usable),
        }
        .map(EndpointIndex)
    }

    /// Counts a request as under way on `endpoint` until the guard is dropped.
    ///
    /// # Panics
    ///
    /// When `endpoint` is not one of this balancer's.
    pub fn start(&self, endpoint: EndpointIndex) -> InFlight {
        let under_way = Rc::clone(&self.endpoints[endpoint.0].under_way);
        under_way.set(under_way.get().saturating_add(1));
        InFlight { under_way }
    }

    /// Requests under way on `endpoint` on this worker; zero for an unknown one.
    pub fn in_flight(&self, endpoint: EndpointIndex) -> u32 {
        let state = self.endpoints.get(endpoint.0);
        state.map_or(0, |state| state.under_way.get())
    }

    /// The key of `endpoint`.
    pub fn key(&self, endpoint: EndpointIndex) -> Option<&str> {
        self.endpoints.get(endpoint.0).map(|state| &*state.key)
    }

    /// How many endpoints there are.
    pub fn len(&self) -> usize {
        self.endpoints.len()
    }

    /// Whether there are no endpoints.
    pub fn is_empty(&self) -> bool {
        self.endpoints.is_empty()
    }

    fn build(
        balance: Balance,
        endpoints: Vec<Endpoint>,
        random: Random,
        known: &HashMap<&str, &State>,
    ) -> Self {
        let state = |endpoint: Endpoint| {
            let old = known.get(&*endpoint.key);
            State {
                weight: endpoint.weight,
                credit: Cell::new(old.map_or(0, |old| old.credit.get())),
                under_way: old.map_or_else(Rc::default, |old| Rc::clone(&old.under_way)),
                key: endpoint.key,
            }
        };
        Self {
            balance,
            endpoints: endpoints.into_iter().map(state).collect(),
            random,
            tied: RefCell::default(),
        }
    }

    /// Brings inherited credits within one round, so that what was owed under other
    /// weights neither starves nor floods anybody for longer than that.
    fn settle(&self) {
        let round: i64 = self.endpoints.iter().map(|s| i64::from(s.weight)).sum();
        for state in &self.endpoints {
            state.credit.set(state.credit.get().clamp(-round, round));
        }
    }

    /// Smooth weighted round robin: all gain their weight, the richest pays the total.
    fn next_in_turn<'a>(
        &'a self,
        usable: impl Iterator<Item = (usize, &'a State)>,
    ) -> Option<usize> {
        let mut total = 0;
        let mut best: Option<(usize, &State)> = None;
        for (at, state) in usable {
            let weight = i64::from(state.weight);
            total += weight;
            state.credit.set(state.credit.get() + weight);
            if best.is_none_or(|(_, best)| state.credit.get() > best.credit.get()) {
                best = Some((at, state));
            }
        }
        let (at, state) = best?;
        state.credit.set(state.credit.get() - total);
        Some(at)
    }

    /// Weighted reservoir of one: each newcomer displaces with its share of the sum so
    /// far, which comes out as its share of the whole, in a single pass.
    fn by_chance<'a>(&self, usable: impl Iterator<Item = (usize, &'a State)>) -> Option<usize> {
        let mut total = 0;
        let mut chosen = None;
        for (at, state) in usable {
            let weight = u64::from(state.weight);
            total += weight;
            if total == weight || self.random.below(total) < weight {
                chosen = Some(at);
            }
        }
        chosen
    }

    fn least_loaded<'a>(
        &'a self,
        usable: impl Iterator<Item = (usize, &'a State)>,
    ) -> Option<usize> {
        let mut tied = self.tied.take();
        tied.clear();
        let mut least = (0, 1);
        for (at, state) in usable {
            let load = (u64::from(state.under_way.get()), u64::from(state.weight));
            // Fractions compared crosswise: load.0 / load.1 against least.0 / least.1.
            let (own, other) = (load.0 * least.1, least.0 * load.1);
            if tied.is_empty() || own < other {
                tied.clear();
                least = load;
                tied.push(at);
            } else if own == other {
                tied.push(at);
            }
        }
        let picked = self.next_in_turn(tied.iter().map(|&at| (at, &self.endpoints[at])));
        self.tied.replace(tied);
        picked
    }
}

/// A request under way on an endpoint; dropping it ends the count.
#[derive(Debug)]
#[must_use = "the request is counted only while this lives"]
pub struct InFlight {
    under_way: Rc<Cell<u32>>,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.under_way.set(self.under_way.get().saturating_sub(1));
    }
}
