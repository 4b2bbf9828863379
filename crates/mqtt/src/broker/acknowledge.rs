//! The client's acknowledgements, for both directions of QoS 1 and 2
//! (sections 3.4 to 3.7 and 4.3).

use super::{
    Broker, durable::Record, held::Until, outbox::Stage, reply::Reply, route::Reached,
    session::SessionKey,
};
use crate::codec::{PacketIdentifier, QualityOfService, ReasonCode};

impl Broker {
    /// PUBACK: a delivery of QoS 1 is complete, or refused, which is as good (4.4.0-2).
    pub(super) fn acknowledged(
        &mut self,
        key: SessionKey,
        packet_id: PacketIdentifier,
    ) -> Result<(), ReasonCode> {
        let session = &mut self.sessions[key];
        let Some(place) = session.outbox.find(packet_id) else {
            return Ok(());
        };
        match &session.outbox.inflight()[place].stage {
            Stage::Sent(delivery) if delivery.qos == QualityOfService::AtLeastOnce => {}
            _ => return Err(ReasonCode::ProtocolError),
        }
        self.complete(key, place);
        Ok(())
    }

    /// PUBREC: the client has a message of QoS 2, or refuses it.
    pub(super) fn received_by_client(
        &mut self,
        key: SessionKey,
        packet_id: PacketIdentifier,
        reason: ReasonCode,
    ) -> Result<(), ReasonCode> {
        let session = &mut self.sessions[key];
        let Some(place) = session.outbox.find(packet_id) else {
            let reason = ReasonCode::PacketIdentifierNotFound;
            self.reply(key, Reply::PubRel(packet_id, reason), Until::default());
            return Ok(());
        };
        match &session.outbox.inflight()[place].stage {
            Stage::Sent(delivery) if delivery.qos == QualityOfService::AtLeastOnce => {
                return Err(ReasonCode::ProtocolError);
            }
            Stage::Sent(_) if reason.is_failure() => {
                self.complete(key, place);
                return Ok(());
            }
            Stage::Sent(_) | Stage::Released => {}
        }
        let position = session.outbox.inflight()[place].position;
        let released = session.outbox.release(place);
        let stored = session.is_stored();
        if stored && let Some(delivery) = released {
            self.journal
                .write(Record::QueueReleased(session.number, position));
            self.journal.let_go(&delivery.message);
        }
        // If PUBREL went first and we stopped before the store had this, the
        // message would be sent again, to a client that has forgotten it.
        let until = self.until(Reached::default(), stored);
        self.reply(key, Reply::PubRel(packet_id, ReasonCode::Success), until);
        Ok(())
    }

    /// PUBCOMP: a delivery of QoS 2 is complete.
    pub(super) fn completed(
        &mut self,
        key: SessionKey,
        packet_id: PacketIdentifier,
    ) -> Result<(), ReasonCode> {
        let session = &mut self.sessions[key];
        let Some(place) = session.outbox.find(packet_id) else {
            return Ok(());
        };
        match session.outbox.inflight()[place].stage {
            Stage::Released => {
                self.complete(key, place);
                Ok(())
            }
            Stage::Sent(_) => Err(ReasonCode::ProtocolError),
        }
    }

    fn complete(&mut self, key: SessionKey, place: usize) {
        let session = &mut self.sessions[key];
        let stored = session.is_stored();
        if let Some(entry) = session.outbox.complete(place)
            && stored
        {
            match &entry.stage {
                Stage::Sent(delivery) => self.journal.unqueued(session.number, delivery),
                Stage::Released => {
                    self.journal
                        .write(Record::QueueDrop(session.number, entry.position));
                }
            }
        }
        // There is room in the window for what waits.
        self.wake(key);
    }

    /// PUBREL: the client lets go of a message it sent with QoS 2.
    pub(super) fn released_by_client(&mut self, key: SessionKey, packet_id: PacketIdentifier) {
        let session = &mut self.sessions[key];
        let known = session.inbox.remove(packet_id);
        let reason = match known {
            true => ReasonCode::Success,
            false => ReasonCode::PacketIdentifierNotFound,
        };
        let mut until = Until::default();
        if known && session.is_stored() {
            self.journal
                .write(Record::ReceivedDrop(session.number, packet_id));
            // Afterwards the identifier may be used for a new message; a store
            // that still had it would take that for a repetition.
            until.stored = self.journal.latest();
        }
        self.reply(key, Reply::PubComp(packet_id, reason), until);
    }
}
