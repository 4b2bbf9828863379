//! The fuzz targets of calls in JSON on stable: every committed seed, and a few thousand
//! mutations of them that are the same in every run.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../../../fuzz/src/thrift_json.rs"]
#[allow(dead_code, unreachable_pub, reason = "public for the fuzz targets")]
mod thrift_json;

#[path = "../../http/tests/codec_support/corpus.rs"]
#[allow(unreachable_pub, reason = "shared with the tests of another codec")]
mod corpus;

#[path = "../../http/tests/codec_support/replay.rs"]
#[allow(unreachable_pub, reason = "shared with the tests of another codec")]
mod replay;

use corpus::seeds;
use tidegate_thrift::codec::Protocol;

/// Mutated inputs for each target.
const MUTATIONS: usize = 2000;

#[test]
fn every_seed_holds_the_invariants() {
    for target in thrift_json::TARGETS {
        replay::every_seed(target.name, target.run);
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
        replay::mutated_seeds(target.name, target.run, MUTATIONS);
    }
}
