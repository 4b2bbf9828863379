//! Rounds of messages or connections: each broker in turn, on connections of the round's own.

use super::brokers::Peer;
use super::client::Session;
use super::flow::Flow;
use super::load::{Load, names, subscribers};
use super::round::{Meter, Round};
use super::swarm::Swarm;
use super::workload::Kind;
use anyhow::{Result, bail};
use std::time::{Duration, Instant};

/// Before each reading, so that windows are open and buffers have their size.
const WARM_UP: Duration = Duration::from_millis(400);

/// Connections of the accept workload that are open at a time.
const ACCEPTED_TOGETHER: usize = 32;

/// One round of one broker, of a `kind` that has such.
pub(crate) fn run(peer: &Peer, kind: Kind, period: Duration, number: u32) -> Result<Round> {
    let label = format!("{number}");
    match kind {
        Kind::Closed(flow) => closed(peer, flow, period, &label),
        Kind::Paced { flow, per_second } => paced(peer, flow, per_second, period, &label),
        Kind::Offline { flow, each } => offline(peer, flow, each, &label),
        Kind::Accept => accept(peer, period, &label),
        Kind::Idle { .. } | Kind::Slow { .. } | Kind::Workers(_) => bail!("not in rounds"),
    }
}

/// One round of a closed loop.
pub(crate) fn closed(peer: &Peer, flow: Flow, period: Duration, label: &str) -> Result<Round> {
    let mut load = Load::open(flow, peer.port, label)?;
    load.press(WARM_UP)?;
    let (meter, before) = (Meter::start(peer.pid())?, load.delivered());
    load.press(period)?;
    let mut round = meter.stop(load.delivered() - before)?;
    round.faults = load.drain()?;
    load.close()?;
    Ok(round)
}

fn paced(peer: &Peer, flow: Flow, per_second: u32, period: Duration, label: &str) -> Result<Round> {
    let mut load = Load::open(flow, peer.port, label)?;
    load.pace(per_second, WARM_UP)?;
    load.forget_latencies();
    let (meter, before) = (Meter::start(peer.pid())?, load.delivered());
    load.pace(per_second, period)?;
    let mut round = meter.stop(load.delivered() - before)?;
    round.p50 = load.latency(0.5);
    round.p99 = load.latency(0.99);
    round.faults = load.drain()?;
    load.close()?;
    Ok(round)
}

/// Stores messages for sessions that are away, then lets them come back for all of them.
fn offline(peer: &Peer, flow: Flow, each: u32, label: &str) -> Result<Round> {
    let subscribers = subscribers(label, flow.subscribers());
    let mut absent = Swarm::new()?;
    let first = absent.connect(peer.port, &subscribers, Session::Kept)?;
    for subscriber in 0..flow.subscribers() {
        absent.subscribe(first + subscriber, &flow.filters(subscriber), flow.qos)?;
    }
    absent.settle()?;
    absent.disconnect()?;

    let mut load = Load::open_without_subscribers(flow, peer.port, label)?;
    let meter = Meter::start(peer.pid())?;
    load.store(each)?;
    let mut round = meter.stop(load.sent())?;
    load.return_subscribers(peer.port, &subscribers)?;
    round.faults = load.drain()?;
    load.close()?;

    // A clean session of the same name ends the kept one.
    let mut last = Swarm::new()?;
    last.connect(peer.port, &subscribers, Session::Clean)?;
    last.disconnect()?;
    Ok(round)
}

fn accept(peer: &Peer, period: Duration, label: &str) -> Result<Round> {
    let names = names(label, ACCEPTED_TOGETHER);
    let once = || Swarm::new()?.come_and_go(peer.port, &names);
    once()?;
    let (meter, until) = (Meter::start(peer.pid())?, Instant::now() + period);
    let mut count = 0;
    while Instant::now() < until {
        once()?;
        count += names.len() as u64;
    }
    meter.stop(count)
}
