//! Rounds of a flow: each broker in turn, on connections of the round's own.

use super::brokers::{Needs, Peer, Site};
use super::client::Session;
use super::flow::Flow;
use super::load::{Load, names};
use super::round::{Meter, Round};
use super::swarm::Swarm;
use super::workload::Kind;
use anyhow::Result;
use std::time::Duration;

/// Before each reading, so that windows are open and buffers have their size.
const WARM_UP: Duration = Duration::from_millis(400);

/// The broker for rounds of messages.
pub(crate) fn start(broker: super::brokers::Broker, site: &Site<'_>) -> Result<Peer> {
    Peer::start(broker, site, Needs::default())
}

/// One round of one broker.
pub(crate) fn run(peer: &Peer, kind: Kind, period: Duration, number: u32) -> Result<Round> {
    let label = format!("{number}");
    match kind {
        Kind::Closed(flow) => closed(peer, flow, period, &label),
        Kind::Paced { flow, per_second } => paced(peer, flow, per_second, period, &label),
        Kind::Offline { flow, each } => offline(peer, flow, each, &label),
    }
}

fn closed(peer: &Peer, flow: Flow, period: Duration, label: &str) -> Result<Round> {
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
    let subscribers = names(&format!("{label}-subscriber"), flow.subscribers());
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
