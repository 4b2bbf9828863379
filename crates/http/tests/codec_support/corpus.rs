//! The fuzz seeds, and mutations of them that are the same in every run.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

/// What parsers of HTTP/1.1 trip over.
const PIECES: &[&[u8]] = &[
    b"\r\n",
    b"\n",
    b"\r",
    b"\r\n\r\n",
    b"\0",
    b" ",
    b"\t",
    b":",
    b";",
    b",",
    b"@",
    b"#",
    b"0",
    b"1",
    b"f",
    b"ffffffffffffffff",
    b"18446744073709551616",
    b"+5",
    b"\xff",
    b"HTTP/1.0",
    b"HTTP/2.0",
    b"http://b:1/",
    b"*",
    b"CONNECT ",
    b"HEAD ",
    b"Host: a\r\n",
    b"Host:",
    b"Content-Length: 5\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"chunked",
    b"gzip",
    b"Connection: close\r\n",
    b"Connection: upgrade\r\nUpgrade: x\r\n",
    b"Expect: 100-continue\r\n",
    b"0\r\n\r\n",
    b"5\r\nhello\r\n",
    b"X: y\r\n",
    b" folded\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
];

/// A small generator of numbers that look random (xorshift64*).
pub struct Numbers(pub u64);

impl Numbers {
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(number).unwrap() % bound.max(1)
    }
}

/// The committed seeds of one fuzz target, in the order of their names.
pub fn seeds(target: &str) -> Vec<Vec<u8>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fuzz/seeds")
        .join(target);
    let mut paths: Vec<_> = std::fs::read_dir(&directory)
        .unwrap_or_else(|error| panic!("{}: {error}", directory.display()))
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    paths
        .iter()
        .map(|path| std::fs::read(path).unwrap())
        .collect()
}

/// A seed with up to five changes.
pub fn mutate(seeds: &[Vec<u8>], numbers: &mut Numbers) -> Vec<u8> {
    let mut input = seeds[numbers.below(seeds.len())].clone();
    // Most often one change: more of them rarely leave anything acceptable.
    let mut changes = 1;
    while changes < 5 && numbers.below(2) == 0 {
        changes += 1;
    }
    for _ in 0..changes {
        let at = numbers.below(input.len() + 1);
        let end = (at + 1 + numbers.below(8)).min(input.len());
        match numbers.below(5) {
            0 if at < input.len() => input[at] ^= 1 << numbers.below(8),
            1 => drop(input.drain(at..end)),
            2 => {
                let other = &seeds[numbers.below(seeds.len())];
                let tail = other[numbers.below(other.len() + 1)..].to_vec();
                input.truncate(at);
                input.extend(tail);
            }
            3 => {
                let copy = input[at..end].to_vec();
                drop(input.splice(at..at, copy));
            }
            _ => {
                let piece = PIECES[numbers.below(PIECES.len())];
                drop(input.splice(at..at, piece.iter().copied()));
            }
        }
    }
    input
}
