//! What one core has for each other core, until it has left in a batch.

use std::sync::Arc;

use tidegate_runtime::mailbox::{Reserved, Sender};

use super::batch::Batch;
use super::exchange::{Crossing, Exchange};
use crate::broker::shard::ShardId;
use crate::broker::{ShardContent, ShardMessage};
use crate::codec::QualityOfService;

/// Messages that wait for a core that does not keep up; beyond them those of QoS 0 are
/// dropped. The others are bounded by what clients may have unacknowledged.
const BACKLOG_MAX: usize = 16_384;

/// Whether all that waited has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Backlog {
    None,
    Some,
}

#[derive(Debug, Default)]
struct Neighbour {
    sender: Option<Sender<Crossing>>,
    backlog: Batch,
}

/// The ways from one core to all others.
#[derive(Debug)]
pub(super) struct Neighbours {
    exchange: Arc<Exchange>,
    here: ShardId,
    neighbours: Vec<Neighbour>,
    dropped: u64,
}

impl Neighbours {
    pub(super) fn new(exchange: Arc<Exchange>, here: ShardId) -> Self {
        let neighbours = (0..exchange.cores())
            .map(|_| Neighbour::default())
            .collect();
        Self {
            exchange,
            here,
            neighbours,
            dropped: 0,
        }
    }

    /// QoS 0 messages that a slow core has not been given.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Puts a message into the next batch.
    pub(super) fn put(&mut self, to: ShardId, message: ShardMessage) {
        let backlog = &mut self.neighbours[usize::from(to.0)].backlog;
        if backlog.len() >= BACKLOG_MAX && may_be_lost(&message) {
            self.dropped += 1;
            return;
        }
        backlog.push(message);
    }

    /// Sends all batches that find room.
    pub(super) fn flush(&mut self) -> Backlog {
        let mut left = Backlog::None;
        for (shard, neighbour) in (0..).map(ShardId).zip(&mut self.neighbours) {
            if neighbour.backlog.is_empty() {
                continue;
            }
            let Some(sender) = way(&mut neighbour.sender, &self.exchange, shard) else {
                left = Backlog::Some;
                continue;
            };
            let batch = Crossing::Messages {
                from: self.here,
                messages: std::mem::take(&mut neighbour.backlog),
            };
            if let Err(error) = sender.send(batch) {
                if let Crossing::Messages { messages, .. } = error.into_inner() {
                    neighbour.backlog = messages;
                }
                left = Backlog::Some;
            }
        }
        left
    }

    /// A place in a core's mailbox, if there is one.
    pub(super) fn reserve(&mut self, shard: ShardId) -> Option<Reserved<Crossing>> {
        let neighbour = &mut self.neighbours[usize::from(shard.0)];
        way(&mut neighbour.sender, &self.exchange, shard)?
            .reserve()
            .ok()
    }
}

/// The way to a core, looked up anew when there is none yet or its worker was replaced.
fn way<'a>(
    known: &'a mut Option<Sender<Crossing>>,
    exchange: &Exchange,
    shard: ShardId,
) -> Option<&'a Sender<Crossing>> {
    if known.as_ref().is_none_or(Sender::is_closed) {
        *known = exchange.sender(shard);
    }
    known.as_ref()
}

fn may_be_lost(message: &ShardMessage) -> bool {
    match &message.content {
        ShardContent::Publish(publish) => {
            publish.message.qos == QualityOfService::AtMostOnce && publish.retain.is_none()
        }
        ShardContent::Interest(_) | ShardContent::Taken(_) => false,
    }
}
