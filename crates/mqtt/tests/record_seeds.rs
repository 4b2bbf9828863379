//! The fuzz target of stored records on stable: every committed seed, and a few thousand
//! mutations of them that are the same in every run.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../../../fuzz/src/record.rs"]
#[allow(unreachable_pub, reason = "public for the fuzz targets")]
mod record;

#[path = "../../http/tests/codec_support/corpus.rs"]
#[allow(unreachable_pub, reason = "shared with the tests of another codec")]
mod corpus;

use bytes::Bytes;
use corpus::{Numbers, mutate, seeds};
use tidegate_mqtt::store::{decode, sealed};

/// Mutated inputs.
const MUTATIONS: usize = 20_000;

#[test]
fn every_seed_is_a_record() {
    let seeds = seeds("mqtt_record");
    assert!(seeds.len() >= 9, "one of each kind");
    for seed in seeds {
        record::record(&seed);
        let (key, fields) = seed[1..].split_at(usize::from(seed[0]));
        let value = sealed(key, [&[1][..], fields].concat());
        let read = decode(Bytes::copy_from_slice(key), value.into());
        assert!(read.is_ok(), "{read:?} of {seed:?}");
    }
}

#[test]
fn mutated_seeds_hold_the_invariants() {
    let seeds = seeds("mqtt_record");
    let mut numbers = Numbers(0x7469_6465_6761_7465);
    for _ in 0..MUTATIONS {
        record::record(&mutate(&seeds, &mut numbers));
    }
}
