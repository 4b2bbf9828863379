//! Finds the brokers, installs or builds what is missing.

use super::brokers::{Broker, Programs};
use crate::requirements::{build_tidegate, find, find_or_install};
use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What is measured, and needs its own build: it is in no Debian.
const RUMQTTD: &str = "rumqttd@0.20.0";
/// Where it is kept once it is built.
const TOOLS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/tools");

/// What can take part.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) programs: Programs,
    pub(crate) brokers: Vec<Broker>,
}

/// For a run of `brokers`; `tidegate` and `rumqttd` are some that need no building. Goes on
/// without rumqttd if it cannot be built.
pub(crate) fn gather(
    brokers: &[Broker],
    tidegate: Option<&Path>,
    rumqttd: Option<&Path>,
) -> Result<Found> {
    for name in ["taskset", "setpriv", "chrt"] {
        find(name).with_context(|| format!("{name} is missing: install util-linux"))?;
    }
    let mut brokers = brokers.to_vec();
    let mut programs = Programs {
        tidegate: None,
        mosquitto: None,
        rumqttd: None,
    };
    if brokers.contains(&Broker::Mosquitto) {
        programs.mosquitto = Some(find_or_install("mosquitto")?);
    }
    if brokers.contains(&Broker::Tidegate) {
        programs.tidegate = Some(match tidegate {
            Some(path) => given(path)?,
            None => build_tidegate()?,
        });
    }
    if brokers.contains(&Broker::Rumqttd) {
        programs.rumqttd = match rumqttd.map_or_else(find_or_build_rumqttd, given) {
            Ok(path) => Some(path),
            Err(error) => {
                eprintln!("without rumqttd: {error:#}");
                brokers.retain(|&broker| broker != Broker::Rumqttd);
                None
            }
        };
    }
    Ok(Found { programs, brokers })
}

fn given(path: &Path) -> Result<PathBuf> {
    path.canonicalize()
        .with_context(|| format!("no {}", path.display()))
}

fn find_or_build_rumqttd() -> Result<PathBuf> {
    let path = Path::new(TOOLS).join("bin/rumqttd");
    if path.is_file() {
        return given(&path);
    }
    eprintln!("building {RUMQTTD}");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        // Its own lock file names a crate that today's compiler refuses.
        .args(["install", "--no-default-features", "--root", TOOLS, RUMQTTD])
        .stdin(Stdio::null())
        .status()
        .context("cannot run cargo")?;
    ensure!(status.success(), "{RUMQTTD} does not build");
    given(&path)
}
