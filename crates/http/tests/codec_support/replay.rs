//! Fuzz targets on stable: their seeds, and mutations of those that are the same in every run.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::corpus::{Numbers, mutate, seeds};

/// Runs a target over each of its seeds.
pub fn every_seed(target: &str, run: fn(&[u8])) {
    let seeds = seeds(target);
    assert!(seeds.len() >= 5, "{target} needs seeds");
    for seed in &seeds {
        check(target, run, seed);
    }
}

/// Runs a target over so many mutations of its seeds.
pub fn mutated_seeds(target: &str, run: fn(&[u8]), mutations: usize) {
    let seeds = seeds(target);
    let mut numbers = Numbers(0x7469_6465_6761_7465);
    for _ in 0..mutations {
        check(target, run, &mutate(&seeds, &mut numbers));
    }
}

fn check(target: &str, run: fn(&[u8]), input: &[u8]) {
    if catch_unwind(AssertUnwindSafe(|| run(input))).is_err() {
        panic!("{target} fails on {:?}", String::from_utf8_lossy(input));
    }
}
