//! Replies to one client, and what holds them back.
//!
//! What a reply acknowledges must be in the store and with the other cores
//! before the client may believe it. Replies keep their order (4.6.0-2 asks it
//! of clients; ours are as good), so one that waits holds the ones behind it.

use std::collections::{BTreeMap, VecDeque};

use smallvec::SmallVec;

use super::{
    crossing::{Crossing, CrossingNumber},
    durable::Token,
    handed::Strays,
    reply::Reply,
    shard::ShardId,
};
use crate::codec::{PacketIdentifier, ReasonCode};

/// What must have come to pass before a reply may go out.
#[derive(Debug, Clone, Default)]
pub(super) struct Until {
    /// The store has this.
    pub(super) stored: Token,
    /// These cores have taken these messages. Of this core itself: messages that had lost
    /// their core have a place again.
    pub(super) taken: SmallVec<[(ShardId, CrossingNumber); 1]>,
}

impl Until {
    pub(super) fn is_now(&self, committed: Token, crossing: &Crossing) -> bool {
        self.stored <= committed
            && self
                .taken
                .iter()
                .all(|(shard, number)| crossing.has_taken(*shard, *number))
    }
}

/// What has been lost with a core.
#[derive(Debug)]
pub(super) struct Lost<'a> {
    /// The core that finds out.
    pub(super) me: ShardId,
    pub(super) shard: ShardId,
    /// All up to this had been taken.
    pub(super) taken: CrossingNumber,
    pub(super) strays: &'a Strays,
}

/// What becomes of something that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It waits for the same, or for another place.
    Waits,
    /// What it waits for will not come to pass.
    Lost,
}

impl Lost<'_> {
    pub(super) fn apply(&self, until: &mut Until) -> Fate {
        let mut fate = Fate::Waits;
        until.taken.retain(|(shard, number)| {
            if *shard != self.shard {
                return true;
            }
            if *number <= self.taken {
                return false;
            }
            match self.strays.number_of(*number) {
                Some(stray) => (*shard, *number) = (self.me, stray),
                None => fate = Fate::Lost,
            }
            fate == Fate::Waits
        });
        fate
    }
}

/// What is waited for instead of messages that had lost their core, by their numbers.
#[derive(Debug)]
pub(super) struct Places {
    pub(super) me: ShardId,
    pub(super) places: BTreeMap<CrossingNumber, Until>,
}

impl Places {
    pub(super) fn apply(&self, until: &mut Until) {
        while let Some((at, place)) = self.next(until) {
            until.taken.swap_remove(at);
            until.taken.extend(place.taken.iter().copied());
            until.stored = until.stored.max(place.stored);
        }
    }

    fn next(&self, until: &Until) -> Option<(usize, &Until)> {
        let mut waits = until.taken.iter().enumerate();
        waits.find_map(|(at, (shard, number))| match *shard == self.me {
            true => Some((at, self.places.get(number)?)),
            false => None,
        })
    }
}

#[derive(Debug)]
struct Held {
    reply: Reply,
    until: Until,
}

/// The replies of one connection, in order.
#[derive(Debug, Default)]
pub(super) struct Replies {
    ready: VecDeque<Reply>,
    held: VecDeque<Held>,
    /// PUBACKs among the held ones.
    held_acks: u16,
}

impl Replies {
    /// Replies that wait, for whatever.
    pub(super) fn len(&self) -> usize {
        self.ready.len() + self.held.len()
    }

    pub(super) fn is_holding(&self) -> bool {
        !self.held.is_empty()
    }

    /// QoS 1 messages of the client that have not been acknowledged.
    pub(super) fn unacknowledged(&self) -> u16 {
        self.held_acks
    }

    /// Queues a reply that waits for nothing and has no order to keep.
    pub(super) fn push_now(&mut self, reply: Reply) {
        self.ready.push_back(reply);
    }

    /// Queues a reply behind those before it. `is_now`: nothing holds it back
    /// but them.
    pub(super) fn push(&mut self, reply: Reply, until: Until, is_now: bool) {
        if is_now && self.held.is_empty() {
            self.ready.push_back(reply);
            return;
        }
        self.held_acks += u16::from(matches!(reply, Reply::PubAck(..)));
        self.held.push_back(Held { reply, until });
    }

    /// Lets go of what no longer waits; returns whether that was anything.
    pub(super) fn release(&mut self, committed: Token, crossing: &Crossing) -> bool {
        let before = self.held.len();
        while let Some(first) = self.held.front() {
            if !first.until.is_now(committed, crossing) {
                break;
            }
            if let Some(Held { reply, .. }) = self.held.pop_front() {
                self.held_acks -= u16::from(matches!(reply, Reply::PubAck(..)));
                self.ready.push_back(reply);
            }
        }
        self.held.len() < before
    }

    /// The store failed with what these replies wait for: they refuse instead.
    /// Returns the identifiers of QoS 2 messages that are thereby not received.
    pub(super) fn fail(&mut self, failed: Token) -> Vec<PacketIdentifier> {
        let mut refused = Vec::new();
        let waiting = self
            .held
            .iter_mut()
            .filter(|held| held.until.stored == failed);
        for held in waiting {
            held.until.stored = Token::default();
            match &mut held.reply {
                Reply::PubAck(_, reason) => *reason = ReasonCode::QuotaExceeded,
                Reply::PubRec(id, reason) => {
                    *reason = ReasonCode::QuotaExceeded;
                    refused.push(*id);
                }
                Reply::SubAck(ack) => {
                    // What was granted is refused after all.
                    for reason in ack.reasons.iter_mut().filter(|reason| !reason.is_failure()) {
                        *reason = ReasonCode::QuotaExceeded;
                    }
                }
                _ => {}
            }
        }
        refused
    }

    /// Another core cannot store what these replies wait for, by `is_refused`: they refuse
    /// instead, those that acknowledge messages. What a core is to know it knows in any case.
    /// Returns the identifiers of QoS 2 messages that are refused.
    pub(super) fn fail_storing(
        &mut self,
        is_refused: impl Fn(&(ShardId, CrossingNumber)) -> bool,
    ) -> Vec<PacketIdentifier> {
        let mut refused = Vec::new();
        for held in &mut self.held {
            let before = held.until.taken.len();
            held.until.taken.retain(|wait| !is_refused(wait));
            if held.until.taken.len() == before {
                continue;
            }
            match &mut held.reply {
                Reply::PubAck(_, reason) => *reason = ReasonCode::QuotaExceeded,
                Reply::PubRec(id, reason) => {
                    *reason = ReasonCode::QuotaExceeded;
                    refused.push(*id);
                }
                _ => {}
            }
        }
        refused
    }

    /// A core is gone that these replies wait for. What it was sent and had not taken may be
    /// lost: messages are refused, unless they are to have another place. Whatever else was to
    /// be known there is told to the one in its place, by `told`. Returns the identifiers of
    /// QoS 2 messages that are refused.
    pub(super) fn fail_crossing(
        &mut self,
        lost: &Lost<'_>,
        told: CrossingNumber,
    ) -> Vec<PacketIdentifier> {
        let mut refused = Vec::new();
        for held in &mut self.held {
            let fate = lost.apply(&mut held.until);
            if fate == Fate::Waits {
                continue;
            }
            match &mut held.reply {
                Reply::PubAck(_, reason) => *reason = ReasonCode::UnspecifiedError,
                Reply::PubRec(id, reason) => {
                    *reason = ReasonCode::UnspecifiedError;
                    refused.push(*id);
                }
                _ => held.until.taken.push((lost.shard, told)),
            }
        }
        refused
    }

    /// Messages that had lost their core have another place, or need none.
    pub(super) fn placed(&mut self, places: &Places) {
        for held in &mut self.held {
            places.apply(&mut held.until);
        }
    }

    pub(super) fn pop(&mut self) -> Option<Reply> {
        self.ready.pop_front()
    }
}
