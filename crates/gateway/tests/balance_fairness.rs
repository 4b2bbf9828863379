//! Shares are wrong, an unavailable endpoint is picked, or an update forgets.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;
use tidegate_gateway::balance::{Balance, Balancer, Endpoint, EndpointIndex, InFlight};

fn endpoints(of: &[(&str, u32)]) -> Vec<Endpoint> {
    let endpoint = |(key, weight): &(&str, u32)| Endpoint::weighted(*key, *weight);
    of.iter().map(endpoint).collect()
}

fn turns(balancer: &Balancer, count: usize, available: impl Fn(usize) -> bool) -> Vec<usize> {
    let pick = |_| balancer.pick(|endpoint| available(endpoint.0)).unwrap().0;
    (0..count).map(pick).collect()
}

fn shares(turns: &[usize], endpoints: usize) -> Vec<usize> {
    let share = |endpoint| turns.iter().filter(|turn| **turn == endpoint).count();
    (0..endpoints).map(share).collect()
}

const ALL: [Balance; 4] = [
    Balance::RoundRobin,
    Balance::Random,
    Balance::LeastRequests,
    Balance::First,
];

#[test]
fn nothing_to_pick_from_is_none() {
    for balance in ALL {
        let empty = Balancer::new(balance, Vec::new(), 1);
        assert_eq!(empty.pick(|_| true), None);
        let balancer = Balancer::new(balance, endpoints(&[("a", 1), ("b", 0)]), 1);
        assert_eq!(balancer.pick(|_| false), None);
        assert_eq!(
            balancer.pick(|endpoint| endpoint.0 == 1),
            None,
            "weight zero"
        );
        let successor = Balancer::inherit(balance, Vec::new(), &balancer);
        assert!(successor.is_empty());
    }
}

#[test]
fn round_robin_spreads_a_heavy_endpoint_out() {
    let balancer = Balancer::new(
        Balance::RoundRobin,
        endpoints(&[("a", 5), ("b", 1), ("c", 1)]),
        1,
    );
    assert_eq!(
        turns(&balancer, 14, |_| true),
        [0, 0, 1, 0, 2, 0, 0, 0, 0, 1, 0, 2, 0, 0]
    );
}

#[test]
fn the_load_of_a_missing_endpoint_is_spread_over_all_others() {
    let balancer = Balancer::new(
        Balance::RoundRobin,
        endpoints(&[("a", 1), ("b", 1), ("c", 1), ("d", 1)]),
        1,
    );
    let without_b = turns(&balancer, 300, |endpoint| endpoint != 1);
    assert_eq!(shares(&without_b, 4), [100, 0, 100, 100]);
    // Back again, it takes its turn and is not flooded.
    assert_eq!(shares(&turns(&balancer, 40, |_| true), 4), [10, 10, 10, 10]);
}

#[test]
fn chance_follows_the_weights() {
    let of = endpoints(&[("a", 1), ("b", 2), ("c", 7)]);
    let balancer = Balancer::new(Balance::Random, of.clone(), 7);
    let first = turns(&balancer, 100_000, |_| true);
    for (share, expected) in shares(&first, 3).into_iter().zip([10_000, 20_000, 70_000]) {
        // Six standard deviations of the binomial are below 900; the seed is fixed.
        assert!(share.abs_diff(expected) < 900, "{share} for {expected}");
    }
    let again = Balancer::new(Balance::Random, of.clone(), 7);
    assert_eq!(turns(&again, 100, |_| true), first[..100]);
    let other = Balancer::new(Balance::Random, of, 8);
    assert_ne!(turns(&other, 100, |_| true), first[..100]);
}

#[test]
fn least_requests_fills_up_by_weight() {
    let balancer = Balancer::new(Balance::LeastRequests, endpoints(&[("a", 3), ("b", 1)]), 1);
    let mut under_way: Vec<(usize, InFlight)> = Vec::new();
    for _ in 0..40 {
        let endpoint = balancer.pick(|_| true).unwrap();
        under_way.push((endpoint.0, balancer.start(endpoint)));
    }
    assert_eq!(balancer.in_flight(EndpointIndex(0)), 30);
    assert_eq!(balancer.in_flight(EndpointIndex(1)), 10);
    under_way.retain(|(endpoint, _)| *endpoint == 0);
    assert_eq!(balancer.in_flight(EndpointIndex(1)), 0);
    assert_eq!(turns(&balancer, 3, |_| true), [1, 1, 1]);
}

#[test]
fn least_requests_takes_turns_while_idle() {
    let balancer = Balancer::new(Balance::LeastRequests, endpoints(&[("a", 3), ("b", 1)]), 1);
    assert_eq!(shares(&turns(&balancer, 40, |_| true), 2), [30, 10]);
}

#[test]
fn first_stands_by() {
    let balancer = Balancer::new(Balance::First, endpoints(&[("a", 1), ("b", 9)]), 1);
    assert_eq!(turns(&balancer, 3, |_| true), [0, 0, 0]);
    assert_eq!(turns(&balancer, 2, |endpoint| endpoint != 0), [1, 1]);
}

#[test]
fn an_update_keeps_requests_under_way_by_key() {
    let old = Balancer::new(Balance::LeastRequests, endpoints(&[("a", 1), ("b", 1)]), 1);
    let on_a = old.start(EndpointIndex(0));
    let also_on_a = old.start(EndpointIndex(0));
    let of = endpoints(&[("c", 1), ("b", 1), ("a", 1)]);
    let new = Balancer::inherit(Balance::LeastRequests, of, &old);
    assert_eq!(new.key(EndpointIndex(2)), Some("a"));
    assert_eq!(new.in_flight(EndpointIndex(2)), 2);
    assert!(turns(&new, 10, |_| true).iter().all(|turn| *turn != 2));
    // Each side sees what the other starts and ends, even when the old one is gone.
    let on_b = new.start(EndpointIndex(1));
    assert_eq!(old.in_flight(EndpointIndex(1)), 1);
    drop((old, on_a, also_on_a));
    assert_eq!(new.in_flight(EndpointIndex(2)), 0);
    drop(on_b);
    assert_eq!(new.in_flight(EndpointIndex(1)), 0);
}

#[test]
fn an_update_does_not_restart_the_round() {
    let of = [("a", 1), ("b", 1), ("c", 1)];
    let mut balancer = Balancer::new(Balance::RoundRobin, endpoints(&of), 1);
    let mut seen = Vec::new();
    for _ in 0..300 {
        seen.extend(turns(&balancer, 1, |_| true));
        balancer = Balancer::inherit(Balance::RoundRobin, endpoints(&of), &balancer);
    }
    // A balancer that started anew would give all 300 to `a`.
    assert_eq!(shares(&seen, 3), [100, 100, 100]);
    let reordered = Balancer::inherit(
        Balance::RoundRobin,
        endpoints(&[("b", 1), ("new", 1), ("c", 1), ("a", 1)]),
        &balancer,
    );
    assert_eq!(
        shares(&turns(&reordered, 40, |_| true), 4),
        [10, 10, 10, 10]
    );
}

#[test]
fn a_heavy_endpoint_that_leaves_takes_its_debt_along() {
    let of = endpoints(&[("heavy", 100), ("b", 1), ("c", 1)]);
    let old = Balancer::new(Balance::RoundRobin, of, 1);
    // Early in a round: the light ones are owed much by now.
    assert_eq!(shares(&turns(&old, 30, |_| true), 3)[0], 30);
    let of = endpoints(&[("new", 1), ("b", 1), ("c", 1)]);
    let balancer = Balancer::inherit(Balance::RoundRobin, of, &old);
    assert_eq!(shares(&turns(&balancer, 3, |_| true), 3), [1, 1, 1]);
    let of = endpoints(&[("heavy", 1), ("b", 1)]);
    let balancer = Balancer::inherit(Balance::RoundRobin, of, &old);
    let first = shares(&turns(&balancer, 10, |_| true), 2);
    assert!(
        first[0] >= 3,
        "an old weight's debt is paid within rounds of the new: {first:?}"
    );
}

fn balance() -> impl Strategy<Value = Balance> {
    proptest::sample::select(ALL.to_vec())
}

fn some_endpoints() -> impl Strategy<Value = Vec<Endpoint>> {
    let keys = vec!["a", "b", "c", "d", "e", "f", "g"];
    let keys = proptest::sample::subsequence(keys, 0..=7).prop_shuffle();
    (keys, proptest::collection::vec(0..5_u32, 7)).prop_map(|(keys, weights)| {
        let pairs = keys.into_iter().zip(weights);
        pairs
            .map(|(key, weight)| Endpoint::weighted(key, weight))
            .collect()
    })
}

proptest! {
    #[test]
    fn an_unavailable_endpoint_is_never_picked(
        generations in proptest::collection::vec((balance(), some_endpoints()), 1..5),
        masks in proptest::collection::vec(any::<u8>(), 1..40),
        seed in any::<u64>(),
    ) {
        let mut balancer = Balancer::new(Balance::RoundRobin, Vec::new(), seed);
        let mut under_way = Vec::new();
        for (balance, endpoints) in generations {
            balancer = Balancer::inherit(balance, endpoints.clone(), &balancer);
            for mask in &masks {
                let usable = |at: usize| mask & (1 << at) != 0;
                let any_usable = (0..endpoints.len()).any(|at| usable(at) && endpoints[at].weight > 0);
                let picked = balancer.pick(|endpoint| usable(endpoint.0));
                prop_assert_eq!(picked.is_some(), any_usable);
                if let Some(picked) = picked {
                    prop_assert!(usable(picked.0) && endpoints[picked.0].weight > 0);
                    under_way.push(balancer.start(picked));
                }
            }
        }
        let before = under_way.len();
        let counted: usize = (0..balancer.len())
            .map(|at| balancer.in_flight(EndpointIndex(at)) as usize)
            .sum();
        prop_assert!(counted <= before);
        drop(under_way);
        for at in 0..balancer.len() {
            prop_assert_eq!(balancer.in_flight(EndpointIndex(at)), 0);
        }
    }

    #[test]
    fn round_robin_is_exact_over_whole_rounds(endpoints in some_endpoints(), rounds in 1..5_usize) {
        let round: usize = endpoints.iter().map(|endpoint| endpoint.weight as usize).sum();
        let balancer = Balancer::new(Balance::RoundRobin, endpoints.clone(), 0);
        let seen = turns(&balancer, round * rounds, |_| true);
        for (share, endpoint) in shares(&seen, endpoints.len()).into_iter().zip(&endpoints) {
            prop_assert_eq!(share, endpoint.weight as usize * rounds);
        }
    }
}
