//! Finds what the bench runs, installs what is missing where that is allowed, builds tidegate.

use crate::peers::{Programs, Proxy};
use anyhow::{Context, Result, bail, ensure};
use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Debian keeps servers where users do not look.
const SYSTEM_FOLDERS: [&str; 2] = ["/usr/sbin", "/usr/local/sbin"];

/// Everything the run needs.
#[derive(Debug)]
pub(crate) struct Requirements {
    pub(crate) programs: Programs,
    pub(crate) wrk: PathBuf,
}

impl Requirements {
    /// For a run of `proxies`; `given` is a tidegate that needs no building.
    pub(crate) fn gather(proxies: &[Proxy], given: Option<&Path>) -> Result<Self> {
        // Pinning and clean ends come from here; every Debian has them.
        for name in ["taskset", "setpriv"] {
            find(name).with_context(|| format!("{name} is missing: install util-linux"))?;
        }
        let nginx = find_or_install("nginx")?;
        let wrk = find_or_install("wrk")?;
        let wanted = |proxy| proxies.contains(&proxy);
        let haproxy = wanted(Proxy::Haproxy)
            .then(|| find_or_install("haproxy"))
            .transpose()?;
        let tidegate = match given {
            _ if !wanted(Proxy::Tidegate) => None,
            Some(path) => Some(
                path.canonicalize()
                    .with_context(|| format!("no {}", path.display()))?,
            ),
            None => Some(build_tidegate()?),
        };
        Ok(Self {
            programs: Programs {
                nginx,
                haproxy,
                tidegate,
            },
            wrk,
        })
    }
}

pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(SYSTEM_FOLDERS.iter().map(PathBuf::from))
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
}

/// The programs here are Debian packages of the same name.
pub(crate) fn find_or_install(name: &str) -> Result<PathBuf> {
    if let Some(path) = find(name) {
        return Ok(path);
    }
    ensure!(
        rustix::process::geteuid().is_root() && find("apt-get").is_some(),
        "{name} is missing: install it (Debian: apt-get install {name}), or run as root on Debian"
    );
    eprintln!("installing {name}");
    apt_get(&["update"])?;
    apt_get(&["install", "-y", "--no-install-recommends", name])?;
    find(name).with_context(|| format!("{name} was installed but is nowhere to be found"))
}

fn apt_get(arguments: &[&str]) -> Result<()> {
    let status = Command::new("apt-get")
        .arg("-qq")
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        // Servers are not started just because they are installed.
        .env("RUNLEVEL", "1")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .context("cannot run apt-get")?;
    ensure!(
        status.success(),
        "apt-get {} failed ({status})",
        arguments.join(" ")
    );
    Ok(())
}

pub(crate) fn build_tidegate() -> Result<PathBuf> {
    eprintln!("building tidegate");
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["build", "--release", "--package", "tidegate"])
        .arg("--message-format=json-render-diagnostics")
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run cargo")?;
    ensure!(
        output.status.success(),
        "tidegate does not build; leave it out with --proxies"
    );
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let message: serde_json::Value = serde_json::from_str(line)?;
        if message["target"]["name"] == "tidegate"
            && let Some(path) = message["executable"].as_str()
        {
            return Ok(path.into());
        }
    }
    bail!("cargo built no tidegate")
}
