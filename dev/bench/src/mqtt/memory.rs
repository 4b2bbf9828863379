//! What a broker keeps for those that say nothing, and for those that do not listen.

use super::brokers::{Broker, Needs, Peer, Site};
use super::client::{Path, Session};
use super::flow::Flow;
use super::load::{Load, names};
use super::swarm::Swarm;
use crate::interrupt;
use crate::measure::Memory;
use anyhow::{Context, Result};
use rustix::process::Pid;
use std::thread;
use std::time::{Duration, Instant};
use tidegate_mqtt::codec::QualityOfService;

/// Before the first reading: what one busy moment leaves behind is not the idle ones' fault.
const WARM_UP_CONNECTIONS: usize = 256;
const SETTLE_TIMEOUT: Duration = Duration::from_secs(5);
const SETTLE_STEP: Duration = Duration::from_millis(250);
/// This many equal readings in a row are a standstill.
const SETTLE_READINGS: u32 = 4;
/// What may wait for a subscriber that does not read.
const SLOW_QUEUE_BYTES: usize = 256 << 10;
/// What a connection has beside its queue, whatever is configured: one buffer to write from.
const SEND_BUFFER_BYTES: usize = 64 << 10;
const SLOW_PAYLOAD_BYTES: usize = 1 << 10;
/// So many are published for each of them: twice what may wait.
const SLOW_MESSAGES_EACH: usize = 512;
/// Messages for those that do not read between two turns of the flow.
const SLOW_MESSAGES_PER_TURN: usize = 64;
/// Messages between two readings of memory.
const MESSAGES_PER_READING: usize = 32 * 1024;

/// Growth of a broker's memory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Growth {
    /// Bytes, all together.
    pub(crate) bytes: u64,
    /// What it may be at most, if a bound is configured.
    pub(crate) bound: Option<u64>,
    /// Divided by connections.
    pub(crate) each: u64,
    /// What others got meanwhile, in messages a second.
    pub(crate) served_per_second: Option<f64>,
}

/// Growth by `connections` that say nothing once they are accepted.
pub(crate) fn idle(broker: Broker, site: &Site<'_>, connections: usize) -> Result<Growth> {
    let peer = Peer::start(broker, site, Needs::default())?;
    Swarm::new()?.come_and_go(peer.port, &names("early", WARM_UP_CONNECTIONS))?;
    let before = settled(peer.pid())?;
    let mut swarm = Swarm::new()?;
    swarm.connect(peer.port, &names("idle", connections), Session::Clean)?;
    let bytes = settled(peer.pid())?.saturating_sub(before);
    // Nobody saves memory by hanging up.
    swarm.ping()?;
    swarm.disconnect()?;
    Ok(Growth {
        bytes,
        bound: None,
        each: bytes / connections as u64,
        served_per_second: None,
    })
}

/// Growth by `subscribers` that get messages and do not read them, each its own ones, while
/// `flow` goes on.
pub(crate) fn slow(
    broker: Broker,
    site: &Site<'_>,
    subscribers: usize,
    flow: Flow,
) -> Result<Growth> {
    let needs = Needs {
        queue_bytes: SLOW_QUEUE_BYTES,
        ..Needs::default()
    };
    let peer = Peer::start(broker, site, needs)?;
    let mut slow = Swarm::along(Path::Narrow)?;
    slow.connect(peer.port, &names("slow", subscribers), Session::Clean)?;
    let topics = names("slow", subscribers);
    for (number, topic) in topics.iter().enumerate() {
        slow.subscribe(
            number,
            std::slice::from_ref(topic),
            QualityOfService::AtMostOnce,
        )?;
    }
    slow.settle()?;
    let mut flood = Swarm::new()?;
    flood.connect(peer.port, &names("flood", 1), Session::Clean)?;
    let mut load = Load::open(flow, peer.port, "served")?;
    load.press(Duration::from_millis(500))?;

    let before = Memory::of(peer.pid())?.resident;
    let (began, delivered) = (Instant::now(), load.delivered());
    let mut most = before;
    let payload = vec![b'x'; SLOW_PAYLOAD_BYTES];
    for number in 0..subscribers * SLOW_MESSAGES_EACH {
        let topic = &topics[number % subscribers];
        flood.publish(0, topic, QualityOfService::AtMostOnce, &payload)?;
        if number % SLOW_MESSAGES_PER_TURN == 0 {
            flood.flush()?;
            load.press_once()?;
            // The flood goes on when the broker has taken the last of it.
            while flood.client(0).unsent_bytes() > 0 {
                flood.turn(Duration::ZERO, |_, _| Ok(()))?;
                flood.retry(0);
                load.press_once()?;
            }
        }
        if number % MESSAGES_PER_READING == 0 {
            most = most.max(Memory::of(peer.pid())?.resident);
        }
    }
    let served = (load.delivered() - delivered) as f64 / began.elapsed().as_secs_f64();
    most = most.max(Memory::of(peer.pid())?.resident);
    let faults = load.drain()?;
    anyhow::ensure!(faults.is_empty(), "the flow beside it: {faults}");
    load.close()?;
    // Kept to here, so that nobody is thrown out for having gone.
    drop(slow);
    Ok(Growth {
        bytes: most - before,
        bound: Some((subscribers * (SLOW_QUEUE_BYTES + SEND_BUFFER_BYTES)) as u64),
        each: (most - before) / subscribers as u64,
        served_per_second: Some(served),
    })
}

/// Resident memory once it stands still, or as it is after a while.
fn settled(root: Pid) -> Result<u64> {
    let deadline = Instant::now() + SETTLE_TIMEOUT;
    let mut memory = Memory::of(root)?;
    let mut equal = 0;
    while equal < SETTLE_READINGS && Instant::now() < deadline {
        interrupt::check()?;
        thread::sleep(SETTLE_STEP);
        let next = Memory::of(root).context("the broker is gone")?;
        equal = if next == memory { equal + 1 } else { 0 };
        memory = next;
    }
    Ok(memory.resident)
}
