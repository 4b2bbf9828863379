//! The fuzz targets on stable: every committed seed, and a few thousand
//! mutations of them that are the same in every run.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../../../fuzz/src/mqtt.rs"]
#[allow(dead_code, unreachable_pub, reason = "public for the fuzz targets")]
mod mqtt;

#[path = "../../http/tests/codec_support/corpus.rs"]
#[allow(unreachable_pub, reason = "shared with the tests of another codec")]
mod corpus;

#[path = "../../http/tests/codec_support/replay.rs"]
#[allow(unreachable_pub, reason = "shared with the tests of another codec")]
mod replay;

/// Mutated inputs for each target.
const MUTATIONS: usize = 4000;

#[test]
fn every_seed_holds_the_invariants() {
    for target in mqtt::TARGETS {
        replay::every_seed(target.name, target.run);
    }
}

#[test]
fn mutated_seeds_hold_the_invariants() {
    for target in mqtt::TARGETS {
        replay::mutated_seeds(target.name, target.run, MUTATIONS);
    }
}
