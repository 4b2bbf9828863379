//! The fuzz targets of calls in JSON on stable: every committed seed, and a few thousand
//! mutations of them that are the same in every run.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../../../fuzz/src/thrift_json.rs"]
#[allow(dead_code, unreachable_pub, reason = "public for the fuzz targets")]
mod thrift_json;

#[path = "../../http/tests/codec_support/corpus.rs"]
#[allow(unreachable_pub, reason = "shared with the tests of another codec")]
mod corpus;

use corpus::{Numbers, mutate, seeds};
use std::panic::{AssertUnwindSafe, catch_unwind};
use tidegate_thrift::codec::Protocol;

/// Mutated inputs for each target.
const MUTATIONS: usize = 2000;

#[track_caller]
fn check(target: thrift_json::Target, input: &[u8]) {
    if catch_unwind(AssertUnwindSafe(|| (target.run)(input))).is_err() {
        panic!(
            "{} fails on {:?}",
            target.name,
            String::from_utf8_lossy(input)
        );
    }
}

#[test]
fn every_seed_holds_the_invariants() {
    for target in thrift_json::TARGETS {
        let seeds = seeds(target.name);
        assert!(seeds.len() >= 5, "{} needs seeds", target.name);
        for seed in &seeds {
            check(target, seed);
        }
    }
}

#[test]
fn seeds_are_taken_but_for_those_that_are_wrong() {
    let reply = seeds("thrift_reply");
    let replies = reply.iter().filter(|seed| {
        let json = |protocol| thrift_json::json(protocol, seed, thrift_json::LIMITS);
        json(Protocol::Binary)
            .or_else(|| json(Protocol::Compact))
            .is_some()
    });
    assert_eq!(replies.count(), reply.len() - 1);
    let arguments = seeds("thrift_arguments");
    let taken = arguments.iter();
    let taken = taken.filter(|seed| thrift_json::body(seed, &thrift_json::LIMITS).is_some());
    assert_eq!(taken.count(), arguments.len() - 1);
}

#[test]
fn mutated_seeds_hold_the_invariants() {
    for target in thrift_json::TARGETS {
        let seeds = seeds(target.name);
        let mut numbers = Numbers(0x7469_6465_6761_7465);
        for _ in 0..MUTATIONS {
            check(target, &mutate(&seeds, &mut numbers));
        }
    }
}
