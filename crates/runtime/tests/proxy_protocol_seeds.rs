//! The fuzz target of the PROXY protocol on stable: every committed seed, and a few
//! thousand mutations of them that are the same in every run.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../../../fuzz/src/proxy_protocol.rs"]
#[allow(unreachable_pub, reason = "public for the fuzz target")]
mod proxy_protocol;

#[path = "../../http/tests/codec_support/corpus.rs"]
#[allow(unreachable_pub, reason = "shared with the tests of another codec")]
mod corpus;

/// Mutated inputs.
const MUTATIONS: usize = 4000;

#[test]
fn seeds_and_mutations_of_them_hold_the_invariants() {
    let seeds = corpus::seeds("proxy_protocol");
    assert!(seeds.len() >= 5);
    seeds.iter().for_each(|seed| proxy_protocol::header(seed));
    let mut numbers = corpus::Numbers(0x7469_6465_6761_7465);
    for _ in 0..MUTATIONS {
        proxy_protocol::header(&corpus::mutate(&seeds, &mut numbers));
    }
}
