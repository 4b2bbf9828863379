//! Failed requests while the configuration changes several times a second.

use super::{Bench, Report, idle};
use crate::interrupt;
use crate::load::client::{Client, Persistence, get};
use crate::load::keepalive::{self, Habit, Tally};
use crate::load::runtime;
use crate::measure::{self, Memory};
use crate::peers::{GENERATION_PATH, Peer, Proxy};
use crate::table::Table;
use anyhow::{Context, Result, anyhow, ensure};
use rustix::process::Pid;
use serde_json::json;
use std::cell::Cell;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, sleep_until};

const RELOAD_INTERVAL: Duration = Duration::from_millis(200);
const KEPT_CLIENTS: usize = 64;
const NEW_CLIENTS: usize = 8;
const THINK: Duration = Duration::from_millis(5);
const PATH: &str = "/1k";
/// For the last reload to take effect, and for what it replaced to be gone.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(15);
const SETTLE_STEP: Duration = Duration::from_millis(100);

struct Outcome {
    kept: Tally,
    new: Tally,
    reloads: u32,
    before: Memory,
    after: Memory,
    processes_before: usize,
    processes_after: usize,
}

pub(super) fn table(seconds: u64) -> Table {
    let title = format!(
        "Reloads every {} ms for {seconds} s",
        RELOAD_INTERVAL.as_millis()
    );
    Table::new(
        title,
        &[
            "workload",
            "proxy",
            "reloads",
            "requests kept",
            "failed",
            "requests new",
            "failed",
            "connections kept",
            "p99",
            "max",
            "PSS KiB",
            "processes",
        ],
    )
}

pub(super) fn run(bench: &Bench<'_>, name: &str, report: &mut Report) -> Result<()> {
    let duration = Duration::from_secs(bench.effort.reload_seconds);
    for &proxy in &bench.proxies {
        let peer = Peer::start(proxy, &bench.site)?;
        let outcome = runtime()?.block_on(one(&peer, duration))?;
        tabulate(name, proxy, outcome, report);
    }
    Ok(())
}

async fn one(peer: &Peer<'_>, duration: Duration) -> Result<Outcome> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, peer.http));
    wait_for_generation(address, 0).await?;
    let before = idle::settled(peer.pid()).await?;
    let processes_before = measure::process_count(peer.pid())?;

    let stop = Rc::new(Cell::new(false));
    let start = |persistence: Persistence, count: usize| {
        let habit = Habit {
            address,
            path: PATH,
            persistence,
            think: THINK,
        };
        let mut clients = JoinSet::new();
        for _ in 0..count {
            clients.spawn_local(keepalive::run(habit.clone(), Rc::clone(&stop)));
        }
        clients
    };
    let kept = start(Persistence::KeepAlive, KEPT_CLIENTS);
    let new = start(Persistence::Close, NEW_CLIENTS);
    let reloads = reload_for(peer, duration).await;
    stop.set(true);
    let (kept, new) = (tally(kept).await, tally(new).await);
    let reloads = reloads?;

    wait_for_generation(address, reloads).await?;
    let processes_after = wait_for_processes(peer.pid(), processes_before).await?;
    let after = idle::settled(peer.pid()).await?;
    Ok(Outcome {
        kept,
        new,
        reloads,
        before,
        after,
        processes_before,
        processes_after,
    })
}

async fn reload_for(peer: &Peer<'_>, duration: Duration) -> Result<u32> {
    let began = tokio::time::Instant::now();
    let mut reloads = 0;
    while RELOAD_INTERVAL * reloads < duration {
        interrupt::check()?;
        reloads += 1;
        peer.reload(reloads)?;
        sleep_until(began + RELOAD_INTERVAL * reloads).await;
    }
    Ok(reloads)
}

async fn tally(clients: JoinSet<Tally>) -> Tally {
    let mut sum = Tally::default();
    for tally in clients.join_all().await {
        sum.merge(tally);
    }
    sum
}

/// Waits until new connections are answered by configuration `generation`.
async fn wait_for_generation(address: SocketAddr, generation: u32) -> Result<()> {
    let deadline = Instant::now() + SETTLE_TIMEOUT;
    loop {
        interrupt::check()?;
        let found = ask_generation(address).await;
        if found.as_ref().is_ok_and(|found| *found == generation) {
            return Ok(());
        }
        ensure!(
            Instant::now() < deadline,
            "generation {generation} was never in force; the last answer was {found:?}"
        );
        sleep(SETTLE_STEP).await;
    }
}

async fn ask_generation(address: SocketAddr) -> Result<u32> {
    let mut client = Client::new(TcpStream::connect(address).await?);
    let request = get(GENERATION_PATH, Persistence::Close);
    let answer = client
        .exchange(&request)
        .await
        .map_err(|failure| anyhow!("{failure}"))?;
    String::from_utf8(answer.body)?
        .trim()
        .parse()
        .context("not a number")
}

/// Waits until there are no more than `expected` processes; how many there are then.
async fn wait_for_processes(root: Pid, expected: usize) -> Result<usize> {
    let deadline = Instant::now() + SETTLE_TIMEOUT;
    loop {
        interrupt::check()?;
        let count = measure::process_count(root)?;
        if count <= expected || Instant::now() > deadline {
            return Ok(count);
        }
        sleep(SETTLE_STEP).await;
    }
}

fn tabulate(name: &str, proxy: Proxy, outcome: Outcome, report: &mut Report) {
    let Outcome {
        mut kept,
        mut new,
        reloads,
        before,
        after,
        ..
    } = outcome;
    let (requests_kept, requests_new) = (kept.latencies.count(), new.latencies.count());
    let (failed_kept, failed_new) = (kept.failures.total(), new.failures.total());
    let ms = |duration: Duration| duration.as_secs_f64() * 1e3;
    let p99_ms = ms(kept.latencies.percentile(99));
    let max_ms = ms(kept
        .latencies
        .percentile(100)
        .max(new.latencies.percentile(100)));
    eprintln!(
        "  {proxy:<8}  kept: {failed_kept} of {requests_kept} failed ({}); new: {failed_new} of {requests_new} failed ({})",
        kept.failures, new.failures
    );
    // The peers' failures are a finding; ours are a defect.
    if proxy == Proxy::Tidegate && failed_kept + failed_new > 0 {
        report.complain(format!(
            "{name}: {proxy}: {} {}",
            kept.failures, new.failures
        ));
    }
    report.reload.row([
        name.to_owned(),
        proxy.to_string(),
        reloads.to_string(),
        requests_kept.to_string(),
        failed_kept.to_string(),
        requests_new.to_string(),
        failed_new.to_string(),
        kept.connections.to_string(),
        format!("{p99_ms:.1} ms"),
        format!("{max_ms:.1} ms"),
        format!(
            "{} -> {}",
            before.proportional / 1024,
            after.proportional / 1024
        ),
        format!(
            "{} -> {}",
            outcome.processes_before, outcome.processes_after
        ),
    ]);
    report.json.push(json!({
        "workload": name, "proxy": proxy.to_string(), "reloads": reloads,
        "kept": { "requests": requests_kept, "failed": failed_kept, "why": kept.failures.to_string(), "connections": kept.connections },
        "new": { "requests": requests_new, "failed": failed_new, "why": new.failures.to_string() },
        "p99_ms": p99_ms, "max_ms": max_ms,
        "pss_before": before.proportional, "pss_after": after.proportional,
        "processes_before": outcome.processes_before, "processes_after": outcome.processes_after,
    }));
}
