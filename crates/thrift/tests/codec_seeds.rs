//! The fuzz targets on stable: every committed seed, and a few thousand
//! mutations of them that are the same in every run.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../../../fuzz/src/thrift.rs"]
#[allow(dead_code, unreachable_pub, reason = "public for the fuzz targets")]
mod thrift;

#[path = "../../http/tests/codec_support/corpus.rs"]
#[allow(unreachable_pub, reason = "shared with the tests of another codec")]
mod corpus;

use corpus::{Numbers, mutate, seeds};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Mutated inputs for each target.
const MUTATIONS: usize = 4000;

#[track_caller]
fn check(target: thrift::Target, input: &[u8]) {
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
    for target in thrift::TARGETS {
        let seeds = seeds(target.name);
        assert!(seeds.len() >= 5, "{} needs seeds", target.name);
        for seed in &seeds {
            check(target, seed);
        }
    }
}

#[test]
fn mutated_seeds_hold_the_invariants() {
    for target in thrift::TARGETS {
        let seeds = seeds(target.name);
        let mut numbers = Numbers(0x7469_6465_6761_7465);
        for _ in 0..MUTATIONS {
            check(target, &mutate(&seeds, &mut numbers));
        }
    }
}
