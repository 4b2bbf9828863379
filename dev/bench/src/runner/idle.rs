//! User memory per idle connection: how much a proxy has grown with all of them open.

use super::{Bench, Report};
use crate::interrupt;
use crate::load::idle::Crowd;
use crate::load::runtime;
use crate::measure::Memory;
use crate::peers::Peer;
use crate::table::Table;
use crate::workload::Scheme;
use anyhow::Result;
use rustix::process::Pid;
use serde_json::json;
use std::time::{Duration, Instant};
use tokio::time::sleep;

const PATH: &str = "/1k";
/// Before the first reading: what one busy moment leaves behind is not the idle ones' fault.
const WARM_UP_CONNECTIONS: usize = 256;
const SETTLE_TIMEOUT: Duration = Duration::from_secs(5);
const SETTLE_STEP: Duration = Duration::from_millis(250);
/// This many equal readings in a row are a standstill.
const SETTLE_READINGS: u32 = 4;

pub(super) fn table() -> Table {
    let title = "Idle connections: growth of user memory for each, after one request each";
    Table::new(
        title,
        &[
            "workload",
            "proxy",
            "connections",
            "before KiB",
            "after KiB",
            "PSS bytes each",
            "RSS bytes each",
        ],
    )
}

pub(super) fn run(
    bench: &Bench<'_>,
    name: &str,
    scheme: Scheme,
    connections: usize,
    report: &mut Report,
) -> Result<()> {
    for &proxy in &bench.proxies {
        let peer = Peer::start(proxy, &bench.site)?;
        let (connector, port) = match scheme {
            Scheme::Http => (None, peer.http),
            Scheme::Https => (Some(&bench.connector), peer.https),
        };
        let (before, after) = runtime()?.block_on(async {
            drop(Crowd::gather(connector, port, PATH, WARM_UP_CONNECTIONS).await?);
            let before = settled(peer.pid()).await?;
            let mut crowd = Crowd::gather(connector, port, PATH, connections).await?;
            let after = settled(peer.pid()).await?;
            // Nobody saves memory by hanging up.
            crowd.ask_again().await?;
            anyhow::Ok((before, after))
        })?;
        let each = |before: u64, after: u64| (after as f64 - before as f64) / connections as f64;
        let pss = each(before.proportional, after.proportional);
        let rss = each(before.resident, after.resident);
        eprintln!("  {proxy:<8}  {pss:>8.0} bytes each");
        report.idle.row([
            name.to_owned(),
            proxy.to_string(),
            connections.to_string(),
            (before.proportional / 1024).to_string(),
            (after.proportional / 1024).to_string(),
            format!("{pss:.0}"),
            format!("{rss:.0}"),
        ]);
        report.json.push(json!({
            "workload": name, "proxy": proxy.to_string(), "connections": connections,
            "pss_before": before.proportional, "pss_after": after.proportional,
            "pss_bytes_each": pss, "rss_bytes_each": rss,
        }));
    }
    Ok(())
}

/// Memory once it stands still, or as it is after a while.
pub(super) async fn settled(root: Pid) -> Result<Memory> {
    let deadline = Instant::now() + SETTLE_TIMEOUT;
    let mut memory = Memory::of(root)?;
    let mut equal = 0;
    while equal < SETTLE_READINGS && Instant::now() < deadline {
        interrupt::check()?;
        sleep(SETTLE_STEP).await;
        let next = Memory::of(root)?;
        equal = if next == memory { equal + 1 } else { 0 };
        memory = next;
    }
    Ok(memory)
}
