//! The fuzz targets on stable: every committed seed, and a few thousand mutations of them
//! that are the same in every run.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../../../fuzz/src/mqtt.rs"]
#[allow(dead_code, unreachable_pub, reason = "public for the fuzz targets")]
mod mqtt;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// Mutated inputs for each target.
const MUTATIONS: usize = 4000;

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds");
    let files = std::fs::read_dir(directory.join(target)).unwrap();
    let mut paths: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    paths.sort();
    paths
        .iter()
        .map(|path| std::fs::read(path).unwrap())
        .collect()
}

/// A small generator of numbers that look random (xorshift64*).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(number).unwrap() % bound.max(1)
    }
}

/// A seed with a few of its bytes changed, lost or doubled.
fn mutate(seeds: &[Vec<u8>], numbers: &mut Numbers) -> Vec<u8> {
    let mut input = seeds[numbers.below(seeds.len())].clone();
    for _ in 0..=numbers.below(4) {
        let at = numbers.below(input.len());
        match numbers.below(4) {
            0 if !input.is_empty() => drop(input.remove(at)),
            1 => input.insert(at, u8::try_from(numbers.below(256)).unwrap()),
            2 => input.extend(seeds[numbers.below(seeds.len())].clone()),
            _ => {
                if let Some(byte) = input.get_mut(at) {
                    *byte ^= 1 << numbers.below(8);
                }
            }
        }
    }
    input
}

#[track_caller]
fn check(target: mqtt::Target, input: &[u8]) {
    if catch_unwind(AssertUnwindSafe(|| (target.run)(input))).is_err() {
        panic!("{} fails on {input:02x?}", target.name);
    }
}

#[test]
fn every_seed_holds_the_invariants() {
    for target in mqtt::TARGETS {
        let seeds = seeds(target.name);
        assert!(seeds.len() >= 5, "{} needs seeds", target.name);
        for seed in &seeds {
            check(target, seed);
        }
    }
}

#[test]
fn mutated_seeds_hold_the_invariants() {
    for target in mqtt::TARGETS {
        let seeds = seeds(target.name);
        let mut numbers = Numbers(0x7469_6465_6761_7465);
        for _ in 0..MUTATIONS {
            check(target, &mutate(&seeds, &mut numbers));
        }
    }
}
