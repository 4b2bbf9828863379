//! PUBLISH from a client (section 3.3).

use super::{
    Broker, ConnectionId,
    access::Access,
    aliases::AliasError,
    draft::Draft,
    durable::{Joint, Record},
    held::Until,
    limits::OverRate,
    reply::Reply,
    route::{Reached, Source},
    session::SessionKey,
    shard::ShardSet,
    time::Moment,
};
use crate::codec::{Delivery, PacketIdentifier, Publish, QualityOfService, ReasonCode, TopicName};

/// A PUBLISH that breaks the protocol ends the connection with this reason.
type Violation = ReasonCode;

impl Broker {
    pub(super) fn publish(
        &mut self,
        now: Moment,
        key: SessionKey,
        packet: &Publish,
    ) -> Result<(), Violation> {
        self.counters.publishes_received += 1;
        match packet.delivery {
            Delivery::AtMostOnce => {}
            Delivery::AtLeastOnce(_) => self.counters.publishes_received_qos1 += 1,
            Delivery::ExactlyOnce(_) => self.counters.publishes_received_qos2 += 1,
        }
        self.counters.payload_bytes_received += packet.payload.len() as u64;
        let topic = self.topic_of(key, packet)?;
        if !packet.subscription_identifiers.is_empty() {
            // 3.3.4-6.
            return Err(ReasonCode::ProtocolError);
        }
        if let Some(packet_id) = packet.delivery.packet_identifier() {
            self.within_receive_maximum(key, packet_id)?;
        }
        if self.is_repeated(key, packet) {
            return Ok(());
        }
        if let Err(reason) = self.may_publish(now, key, packet, &topic)? {
            self.answer(key, packet, reason, Until::default());
            return Ok(());
        }
        let mut draft = Draft::of_publish(now, packet, topic);
        let before = self.journal.mark();
        let reached = self.route_jointly(now, key, &mut draft);
        match packet.delivery {
            Delivery::AtMostOnce => return Ok(()),
            Delivery::AtLeastOnce(_) => {}
            Delivery::ExactlyOnce(packet_id) => self.received(key, packet_id),
        }
        let wrote = self.journal.mark() != before;
        let reason = match reached.anybody {
            true => ReasonCode::Success,
            false => ReasonCode::NoMatchingSubscribers,
        };
        let until = self.until(reached, wrote);
        self.answer(key, packet, reason, until);
        Ok(())
    }

    /// Puts the topic itself in the place of an alias for it, which is remembered as if the
    /// packet had been handled.
    ///
    /// # Errors
    ///
    /// The alias means nothing: a reason for the end of the connection.
    pub fn resolve_topic(
        &mut self,
        connection: ConnectionId,
        packet: &mut Publish,
    ) -> Result<(), ReasonCode> {
        if let Some(key) = self.session_of(connection)
            && packet.topic_alias.is_some()
        {
            packet.topic = Some(self.topic_of(key, packet)?);
            packet.topic_alias = None;
        }
        Ok(())
    }

    /// Passes a message on. If its receipt is stored, what other cores store of it is
    /// stored together with that.
    fn route_jointly(&mut self, now: Moment, key: SessionKey, draft: &mut Draft<'_>) -> Reached {
        let is_joint = draft.qos() == QualityOfService::ExactlyOnce
            && self.sessions[key].is_stored()
            && self.crossing.count() > 1;
        if !is_joint {
            return self.route(now, draft, Source::Client(key));
        }
        let number = self.journal.new_joint(self.crossing.me());
        self.joint = Some(number);
        let reached = self.route(now, draft, Source::Client(key));
        self.joint = None;
        if !reached.shards.is_empty() {
            let mut others = ShardSet::default();
            for (shard, _) in &reached.shards {
                others.insert(*shard);
            }
            self.journal.join(Joint {
                number,
                others: Some(others),
            });
        }
        reached
    }

    /// The topic, which an alias may stand for.
    fn topic_of(&mut self, key: SessionKey, packet: &Publish) -> Result<TopicName, Violation> {
        match (
            packet.topic_alias,
            &mut self.sessions[key].link,
            &packet.topic,
        ) {
            (Some(alias), Some(link), topic) => {
                let maximum = link.aliases_in_max;
                let resolved = link.aliases_in.resolve(alias, topic.as_ref(), maximum);
                resolved.map_err(|error| match error {
                    AliasError::OutOfRange => ReasonCode::TopicAliasInvalid,
                    AliasError::Unknown => ReasonCode::ProtocolError,
                })
            }
            (_, _, Some(topic)) => Ok(topic.clone()),
            (_, _, None) => Err(ReasonCode::ProtocolError),
        }
    }

    /// No more unacknowledged messages than we said (3.3.4-7). One that comes
    /// again is not one more.
    fn within_receive_maximum(
        &mut self,
        key: SessionKey,
        packet_id: PacketIdentifier,
    ) -> Result<(), Violation> {
        let session = &self.sessions[key];
        let Some(link) = &session.link else {
            return Ok(());
        };
        let open = session.inbox.len() + usize::from(link.replies.unacknowledged());
        if open < usize::from(link.receive_maximum) || session.inbox.contains(packet_id) {
            return Ok(());
        }
        self.counters.receive_maximum_exceeded += 1;
        Err(ReasonCode::ReceiveMaximumExceeded)
    }

    /// A message of QoS 2 that was received before is acknowledged again and
    /// not delivered again (4.3.3-10).
    fn is_repeated(&mut self, key: SessionKey, packet: &Publish) -> bool {
        let Delivery::ExactlyOnce(packet_id) = packet.delivery else {
            return false;
        };
        let repeated = self.sessions[key].inbox.contains(packet_id);
        if repeated {
            self.counters.publishes_repeated += 1;
            let until = self.until(Reached::default(), self.sessions[key].is_stored());
            self.answer(key, packet, ReasonCode::Success, until);
        }
        repeated
    }

    /// Whether a message is taken. A refusal goes into the acknowledgement
    /// where there is one; without one the message is dropped.
    fn may_publish(
        &mut self,
        now: Moment,
        key: SessionKey,
        packet: &Publish,
        topic: &TopicName,
    ) -> Result<Result<(), ReasonCode>, Violation> {
        let qos = packet.delivery.quality_of_service();
        let rate = self.limits.publish_rate;
        let session = &mut self.sessions[key];
        let in_rate = match &mut session.link {
            Some(link) => link.publish_rate.take(rate, now),
            None => true,
        };
        if !in_rate {
            self.counters.publish_rate_exceeded += 1;
            return match self.limits.publish_over_rate {
                OverRate::Refuse => Ok(Err(ReasonCode::QuotaExceeded)),
                OverRate::Disconnect => Err(ReasonCode::MessageRateTooHigh),
            };
        }
        if let Some(reason) = self.refusing {
            self.counters.publishes_denied += 1;
            return Ok(Err(reason));
        }
        let levels_max = self.limits.topic_levels;
        if topic.as_bytes().len() > levels_max && topic.levels().count() > levels_max {
            self.counters.levels_exceeded += 1;
            return Ok(Err(ReasonCode::TopicNameInvalid));
        }
        let session = &self.sessions[key];
        let access = self
            .access
            .may_publish(session.client(), topic, qos, packet.retain);
        if access == Access::Deny {
            self.counters.publishes_denied += 1;
            return Ok(Err(ReasonCode::NotAuthorized));
        }
        let is_to_be_kept = qos != QualityOfService::AtMostOnce || packet.retain;
        if is_to_be_kept && self.is_full_for(topic.as_str(), packet.retain) {
            self.counters.publishes_unstored += 1;
            return Ok(Err(ReasonCode::QuotaExceeded));
        }
        if packet.retain && !packet.payload.is_empty() {
            let bytes = packet.payload.len();
            if self.retained.room(topic.as_str(), bytes).is_err() {
                self.counters.retained_exceeded += 1;
                return Ok(Err(ReasonCode::QuotaExceeded));
            }
        }
        Ok(Ok(()))
    }

    /// Remembers that a message of QoS 2 was received.
    fn received(&mut self, key: SessionKey, packet_id: PacketIdentifier) {
        let session = &mut self.sessions[key];
        session.inbox.insert(packet_id);
        if session.is_stored() {
            self.journal
                .write(Record::ReceivedPut(session.number, packet_id));
        }
    }

    fn answer(&mut self, key: SessionKey, packet: &Publish, reason: ReasonCode, until: Until) {
        match packet.delivery {
            Delivery::AtMostOnce => {}
            Delivery::AtLeastOnce(packet_id) => {
                self.reply(key, Reply::PubAck(packet_id, reason), until);
            }
            Delivery::ExactlyOnce(packet_id) => {
                self.reply(key, Reply::PubRec(packet_id, reason), until);
            }
        }
    }
}
