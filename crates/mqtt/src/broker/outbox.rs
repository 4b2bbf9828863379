//! What waits for one client and what is in flight to it: the sender's side of
//! QoS 0, 1 and 2 (sections 4.3, 4.4, 4.6 and 4.9).
//!
//! Messages of QoS 1 and 2 are numbered as they are queued, and the packet
//! identifier follows from the number. A restart that finds the queue in the
//! store thus sends each message again under the identifier the client may
//! know it by, although no sending was ever recorded.

mod delivery;
mod inflight;

use std::collections::VecDeque;

pub(super) use self::{
    delivery::{Delivery, RetainFlag},
    inflight::{Inflight, Stage},
};
use super::{limits::DropPolicy, subscriptions::GroupId, time::Moment};
use crate::codec::{PacketIdentifier, QualityOfService};

/// The number of a queued message of QoS 1 or 2, in the order of queueing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Position(pub u64);

/// Packet identifiers there are.
const PACKET_IDS: u64 = 65_535;

impl Position {
    /// The identifier a message at this position is sent under: never zero.
    pub fn packet_id(self) -> PacketIdentifier {
        let number = (self.0 % PACKET_IDS) as u16 + 1;
        PacketIdentifier::new(number).expect("one more than a remainder is not zero")
    }
}

/// Bounds of one outbox.
#[derive(Debug, Clone, Copy)]
pub(super) struct OutboxLimits {
    pub(super) messages: u32,
    pub(super) bytes: usize,
    pub(super) policy: DropPolicy,
}

/// What queueing a message did.
#[derive(Debug)]
pub(super) enum Queued {
    Done,
    /// A bound was reached: this message, the new or the oldest one, is lost.
    Dropped(Full, Delivery),
}

/// The bound that was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Full {
    Messages,
    Bytes,
}

/// Where the next packet comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// In flight before this connection, at this place: send again.
    Again(usize),
    /// The first message of QoS 0.
    Instant,
    /// The first message that waits.
    Waiting,
}

/// The queues of one session.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    /// QoS 0: only while connected.
    instant: VecDeque<Delivery>,
    /// QoS 1 and 2, not sent yet.
    waiting: VecDeque<Delivery>,
    inflight: VecDeque<Inflight>,
    next_position: Position,
    /// Positions from here on may be of messages that the store does not have yet. At QoS 2
    /// those are not sent: if they were lost with the process their sender, who has heard
    /// nothing, would send them once more.
    kept_before: Position,
    bytes: usize,
    /// Entries in flight, from the first, that this connection has been sent.
    sent_here: usize,
    /// How many in `waiting` came by a shared subscription.
    shared: u32,
    /// Nothing in `waiting` expires before this.
    expires_from: Option<Moment>,
}

impl Outbox {
    /// Messages that wait.
    pub(super) fn queued(&self) -> usize {
        self.instant.len() + self.waiting.len()
    }

    /// Bytes of messages that wait.
    pub(super) fn queued_bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn inflight(&self) -> &VecDeque<Inflight> {
        &self.inflight
    }

    pub(super) fn waiting(&self) -> &VecDeque<Delivery> {
        &self.waiting
    }

    /// Where the next queued message will stand.
    pub(super) fn next_position(&self) -> Position {
        self.next_position
    }

    /// Queues a message of QoS 0.
    pub(super) fn push_instant(&mut self, mut delivery: Delivery, limits: OutboxLimits) -> Queued {
        delivery.position = self.next_position;
        if let Some(full) = self.full(&delivery, limits) {
            return match (limits.policy, self.instant.pop_front()) {
                (DropPolicy::Oldest, Some(oldest)) => {
                    self.bytes = self.bytes + delivery.bytes() - oldest.bytes();
                    self.instant.push_back(delivery);
                    Queued::Dropped(full, oldest)
                }
                (_, kept) => {
                    if let Some(kept) = kept {
                        self.instant.push_front(kept);
                    }
                    Queued::Dropped(full, delivery)
                }
            };
        }
        self.bytes += delivery.bytes();
        self.instant.push_back(delivery);
        Queued::Done
    }

    /// Queues a message of QoS 1 or 2.
    pub(super) fn push_waiting(&mut self, mut delivery: Delivery, limits: OutboxLimits) -> Queued {
        let mut dropped = Queued::Done;
        if let Some(full) = self.full(&delivery, limits) {
            if limits.policy == DropPolicy::Newest {
                return Queued::Dropped(full, delivery);
            }
            match self.pop_waiting() {
                Some(oldest) => dropped = Queued::Dropped(full, oldest),
                None => return Queued::Dropped(full, delivery),
            }
        }
        delivery.position = self.next_position;
        self.next_position.0 += 1;
        self.bytes += delivery.bytes();
        self.shared += u32::from(delivery.group.is_some());
        self.expires_from = earlier(self.expires_from, delivery.message.expires_at());
        self.waiting.push_back(delivery);
        dropped
    }

    fn full(&self, delivery: &Delivery, limits: OutboxLimits) -> Option<Full> {
        if self.queued() >= limits.messages as usize {
            Some(Full::Messages)
        } else if self.bytes + delivery.bytes() > limits.bytes {
            Some(Full::Bytes)
        } else {
            None
        }
    }

    /// Whether one more message of some size would be taken.
    pub(super) fn has_room(&self, limits: OutboxLimits) -> bool {
        self.queued() < limits.messages as usize && self.bytes < limits.bytes
    }

    /// Takes out what has expired while it waited. Looks only if something
    /// may have, so that asking each time a queue is full costs little.
    pub(super) fn take_expired(&mut self, now: Moment) -> VecDeque<Delivery> {
        if self.expires_from.is_none_or(|from| from > now) {
            return VecDeque::new();
        }
        let (expired, kept): (VecDeque<_>, VecDeque<_>) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|delivery| delivery.message.is_expired(now));
        self.waiting = kept;
        self.expires_from = self
            .waiting
            .iter()
            .map(|delivery| delivery.message.expires_at())
            .fold(None, earlier);
        self.bytes -= expired.iter().map(Delivery::bytes).sum::<usize>();
        let shared = expired.iter().filter(|delivery| delivery.group.is_some());
        self.shared -= shared.count() as u32;
        expired
    }

    /// Where the next packet comes from, if at most `quota` may be in flight.
    ///
    /// Messages go in the order they were queued, except that those of QoS 0
    /// pass the others while those may not be sent.
    pub(super) fn next(&self, quota: u16) -> Option<Next> {
        let may_send = self.sent_here < usize::from(quota);
        if self.sent_here < self.inflight.len() {
            // Whatever was in flight is older than all that waits (4.4.0-1).
            if may_send {
                return Some(Next::Again(self.sent_here));
            }
            return (!self.instant.is_empty()).then_some(Next::Instant);
        }
        let waiting = self.waiting.front().filter(|_| may_send);
        let waiting = waiting.filter(|first| self.id_is_free(first.position));
        let waiting = waiting.filter(|first| {
            first.qos != QualityOfService::ExactlyOnce || first.position < self.kept_before
        });
        match (self.instant.front(), waiting) {
            (Some(instant), Some(first)) if first.position < instant.position => {
                Some(Next::Waiting)
            }
            (Some(_), _) => Some(Next::Instant),
            (None, Some(_)) => Some(Next::Waiting),
            (None, None) => None,
        }
    }

    /// Identifiers repeat every 65,535 positions; the oldest in flight is the
    /// first that could have the same.
    fn id_is_free(&self, position: Position) -> bool {
        let oldest = self
            .inflight
            .front()
            .map_or(position, |first| first.position);
        position.0 - oldest.0 < PACKET_IDS
    }

    /// The message that waits first.
    pub(super) fn first_waiting(&self) -> Option<&Delivery> {
        self.waiting.front()
    }

    pub(super) fn pop_instant(&mut self) -> Option<Delivery> {
        let delivery = self.instant.pop_front()?;
        self.bytes -= delivery.bytes();
        Some(delivery)
    }

    /// Takes out the message that waits first, not to be sent.
    pub(super) fn pop_waiting(&mut self) -> Option<Delivery> {
        let delivery = self.waiting.pop_front()?;
        self.bytes -= delivery.bytes();
        self.shared -= u32::from(delivery.group.is_some());
        Some(delivery)
    }

    /// Takes the message that waits first in flight.
    pub(super) fn send_waiting(&mut self) -> Option<&Inflight> {
        let delivery = self.pop_waiting()?;
        self.inflight.push_back(Inflight {
            position: delivery.position,
            stage: Stage::Sent(delivery),
        });
        self.sent_here += 1;
        self.inflight.back()
    }

    /// Counts the message at `Next::Again` as sent on this connection.
    pub(super) fn send_again(&mut self) -> Option<&Inflight> {
        let sent = self.inflight.get(self.sent_here)?;
        self.sent_here += 1;
        Some(sent)
    }

    /// The entry in flight under a packet identifier.
    pub(super) fn find(&self, packet_id: PacketIdentifier) -> Option<usize> {
        let first = self.inflight.front()?;
        // Clients acknowledge in order: it is nearly always the first.
        if first.packet_id() == packet_id {
            return Some(0);
        }
        let ahead = u64::from(packet_id.get()) + PACKET_IDS - u64::from(first.packet_id().get());
        let position = Position(first.position.0 + ahead % PACKET_IDS);
        self.inflight
            .binary_search_by_key(&position, |entry| entry.position)
            .ok()
    }

    /// Ends the entry at `place`: its delivery is complete.
    pub(super) fn complete(&mut self, place: usize) -> Option<Inflight> {
        if place < self.sent_here {
            self.sent_here -= 1;
        }
        match place {
            0 => self.inflight.pop_front(),
            _ => self.inflight.remove(place),
        }
    }

    /// The client has the message at `place`; what is left of its delivery is
    /// PUBREL and PUBCOMP. Returns the message.
    pub(super) fn release(&mut self, place: usize) -> Option<Delivery> {
        let entry = self.inflight.get_mut(place)?;
        match std::mem::replace(&mut entry.stage, Stage::Released) {
            Stage::Sent(delivery) => Some(delivery),
            Stage::Released => None,
        }
    }

    /// The connection is gone: QualityOfService 0 with it, and what is in flight will be
    /// sent again. Returns how many messages were dropped.
    pub(super) fn disconnect(&mut self) -> usize {
        let dropped = self.instant.len();
        self.bytes -= self.instant.iter().map(Delivery::bytes).sum::<usize>();
        self.instant = VecDeque::new();
        self.sent_here = 0;
        if self.waiting.is_empty() {
            self.waiting.shrink_to_fit();
        }
        if self.inflight.is_empty() {
            self.inflight.shrink_to_fit();
        }
        dropped
    }

    /// Whether messages of shared subscriptions wait.
    pub(super) fn has_shared(&self) -> bool {
        self.shared > 0
    }

    /// Takes out the unsent messages that came by `group`: other members can
    /// have them.
    pub(super) fn take_shared(&mut self, group: GroupId) -> Vec<Delivery> {
        if self.shared == 0 {
            return Vec::new();
        }
        let (shared, kept): (VecDeque<_>, VecDeque<_>) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|delivery| delivery.group == Some(group));
        self.waiting = kept;
        self.shared -= shared.len() as u32;
        self.bytes -= shared.iter().map(Delivery::bytes).sum::<usize>();
        shared.into()
    }

    /// The client has left `group`: what is still here is its own.
    pub(super) fn forget_group(&mut self, group: GroupId) {
        let sent = self
            .inflight
            .iter_mut()
            .filter_map(|entry| match &mut entry.stage {
                Stage::Sent(delivery) => Some(delivery),
                Stage::Released => None,
            });
        for delivery in sent.filter(|delivery| delivery.group == Some(group)) {
            delivery.group = None;
        }
        for delivery in &mut self.waiting {
            if delivery.group == Some(group) {
                delivery.group = None;
                self.shared -= 1;
            }
        }
    }

    /// Takes out all that is in flight.
    pub(super) fn take_inflight(&mut self) -> VecDeque<Inflight> {
        self.sent_here = 0;
        std::mem::take(&mut self.inflight)
    }

    /// Puts back what the store had, in order of position. Whatever stands
    /// before `sent_through` was in flight.
    pub(super) fn restore(&mut self, restored: Inflight, sent_through: Position) {
        self.continue_at(Position(restored.position.0 + 1));
        match restored.stage {
            Stage::Sent(delivery) if delivery.position >= sent_through => {
                self.bytes += delivery.bytes();
                self.shared += u32::from(delivery.group.is_some());
                self.expires_from = earlier(self.expires_from, delivery.message.expires_at());
                self.waiting.push_back(delivery);
            }
            _ => self.inflight.push_back(restored),
        }
    }

    /// Of what waits the first may have been sent, by a core that died before it could note
    /// that: at most what fits into a window of so many. Of them those of QoS 2 are no other
    /// member's any more (4.8.2-5).
    pub(super) fn may_have_sent(&mut self, window: usize) {
        let sent = window.saturating_sub(self.inflight.len());
        for delivery in self.waiting.iter_mut().take(sent) {
            if delivery.qos == QualityOfService::ExactlyOnce && delivery.group.take().is_some() {
                self.shared -= 1;
            }
        }
    }

    /// What stands before this position the store has, or is not to have.
    pub(super) fn kept(&mut self, before: Position) {
        self.kept_before = self.kept_before.max(before);
    }

    /// Leaves out the next positions.
    pub(super) fn skip(&mut self, positions: u64) {
        self.next_position.0 += positions;
    }

    /// Positions go on from here, however empty the queue is.
    pub(super) fn continue_at(&mut self, position: Position) {
        self.next_position = self.next_position.max(position);
    }
}

/// The earlier of two moments that may not be.
fn earlier(first: Option<Moment>, second: Option<Moment>) -> Option<Moment> {
    match (first, second) {
        (Some(first), Some(second)) => Some(first.min(second)),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests;
