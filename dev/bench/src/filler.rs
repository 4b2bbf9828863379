//! Keeps cores busy with what matters to nobody, behind everything else that wants to run.
//!
//! For comparing runs of which one leaves more of the machine idle. Cores of virtual machines
//! are often two threads of one real core, which lends the units that one leaves idle to the
//! other, and others share a budget of power: a program beside an idle core is charged up to a
//! third less for the same work than beside a busy one. With nothing idle, both are charged alike.

use crate::cores::Cores;
use crate::process::{Program, Running};
use anyhow::{Context, Result};
use std::env;
use std::hint::black_box;
use std::path::Path;

/// The command of this program that fills.
pub(crate) const COMMAND: &str = "fill";

const BUFFER_BYTES: usize = 64 * 1024;
const PIECE_BYTES_MAX: usize = 128;

/// Fills while it lives.
#[derive(Debug)]
pub(crate) struct Filler {
    _processes: Vec<Running>,
}

impl Filler {
    /// On both cores. `chrt` has the scheduler run it when nobody else wants to.
    pub(crate) fn start(cores: Cores, directory: &Path) -> Result<Self> {
        let own = env::current_exe().context("where is this program?")?;
        let start = |core: usize| {
            let program = Program::new("chrt").arg("--idle").arg("0");
            let program = program.arg(&own).arg(COMMAND);
            Running::start(&format!("filler-{core}"), program, core, directory)
        };
        Ok(Self {
            _processes: vec![start(cores.proxy)?, start(cores.load)?],
        })
    }
}

/// Works as brokers do, copying short pieces and looking at their bytes, until it is ended.
pub(crate) fn fill() -> ! {
    let mut buffer = vec![0_u8; BUFFER_BYTES];
    let mut piece = [0; PIECE_BYTES_MAX];
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    loop {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let length = 16 + random as usize % (PIECE_BYTES_MAX - 16);
        let start = (random >> 24) as usize % (BUFFER_BYTES - PIECE_BYTES_MAX);
        piece[..length].copy_from_slice(&buffer[start..][..length]);
        let sum = piece[..length].iter().fold(0_u8, |sum, &byte| {
            let odd = byte & 1 == 1;
            sum.wrapping_add(if odd { byte } else { !byte })
        });
        buffer[start] = black_box(sum);
    }
}
