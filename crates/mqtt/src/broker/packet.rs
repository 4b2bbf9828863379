//! Which packet goes where, and what ends a connection.

use super::{
    Broker, ConnectionId,
    connect::{Farewell, Slot},
    link::Phase,
    reply::Reply,
    session::SessionKey,
    time::Moment,
};
use crate::codec::{Auth, Disconnect, Packet, ReasonCode};

impl Broker {
    pub(super) fn packet(&mut self, now: Moment, connection: ConnectionId, packet: Packet) {
        let Some(key) = self.session_of(connection) else {
            self.packet_before_connack(now, connection, &packet);
            return;
        };
        let Some(link) = &mut self.sessions[key].link else {
            return;
        };
        link.last_seen = now;
        // A client that is being sent away is listened to no more, but for
        // what ends deliveries: that spares sending them again.
        let leaves = matches!(link.phase, Phase::Leaving(_));
        let ends = matches!(
            packet,
            Packet::PublishAck(_)
                | Packet::PublishReceived(_)
                | Packet::PublishComplete(_)
                | Packet::Disconnect(_)
        );
        if leaves && !ends {
            return;
        }
        if let Err(reason) = self.obey(now, key, packet) {
            self.counters.protocol_errors += 1;
            self.drop_link(now, key, reason);
            return;
        }
        self.bound_replies(now, key, connection);
    }

    /// A packet of a client in the program itself.
    pub(super) fn own_packet(&mut self, now: Moment, connection: ConnectionId, packet: Packet) {
        if let Some(key) = self.session_of(connection)
            && !self.own.contains(&key)
        {
            self.own.push(key);
        }
        self.packet(now, connection, packet);
    }

    fn obey(&mut self, now: Moment, key: SessionKey, packet: Packet) -> Result<(), ReasonCode> {
        match packet {
            Packet::Publish(publish) => self.publish(now, key, &publish),
            Packet::PublishAck(ack) => self.acknowledged(key, ack.packet_identifier),
            Packet::PublishReceived(ack) => {
                self.received_by_client(key, ack.packet_identifier, ack.reason)
            }
            Packet::PublishRelease(ack) => {
                self.released_by_client(key, ack.packet_identifier);
                Ok(())
            }
            Packet::PublishComplete(ack) => self.completed(key, ack.packet_identifier),
            Packet::Subscribe(subscribe) => self.subscribe(key, &subscribe),
            Packet::Unsubscribe(unsubscribe) => {
                self.unsubscribe(key, &unsubscribe);
                Ok(())
            }
            Packet::PingRequest => {
                self.reply_now(key, Reply::PingResp);
                Ok(())
            }
            Packet::Disconnect(disconnect) => self.disconnected(now, key, &disconnect),
            Packet::Auth(auth) => self.reauthenticate(now, key, &auth),
            // A second CONNECT (3.1.0-2), or what only a server sends.
            Packet::Connect(_)
            | Packet::ConnectAck(_)
            | Packet::SubscribeAck(_)
            | Packet::UnsubscribeAck(_)
            | Packet::PingResponse => Err(ReasonCode::ProtocolError),
        }
    }

    /// While the client authenticates it sends AUTH and DISCONNECT only (3.1.2-30).
    fn packet_before_connack(&mut self, now: Moment, connection: ConnectionId, packet: &Packet) {
        match packet {
            Packet::Auth(auth) => self.auth_before_connack(now, connection, auth),
            _ => self.refuse_begun(connection, ReasonCode::ProtocolError),
        }
    }

    fn auth_before_connack(&mut self, now: Moment, connection: ConnectionId, auth: &Auth) {
        let Some(Slot::Authenticating(begun)) = self.connections.get(connection.0 as usize) else {
            return;
        };
        let goes_on = auth.reason == ReasonCode::ContinueAuthentication;
        if !goes_on || auth.method.as_ref() != begun.method() {
            self.refuse_begun(connection, ReasonCode::ProtocolError);
            return;
        }
        if let Slot::Authenticating(begun) = self.set_slot(connection, Slot::Free) {
            self.step_begun(now, begun, auth.data.as_deref().unwrap_or_default());
        }
    }

    /// A client that sends requests and reads no replies is let go.
    fn bound_replies(&mut self, now: Moment, key: SessionKey, connection: ConnectionId) {
        if self.session_of(connection) != Some(key) {
            return;
        }
        let waiting = self.sessions[key]
            .link
            .as_ref()
            .map_or(0, |link| link.replies.len());
        if waiting > self.limits.replies {
            self.counters.replies_exceeded += 1;
            self.drop_link(now, key, ReasonCode::QuotaExceeded);
        }
    }

    /// DISCONNECT from the client (section 3.14).
    fn disconnected(
        &mut self,
        now: Moment,
        key: SessionKey,
        packet: &Disconnect,
    ) -> Result<(), ReasonCode> {
        let session = &mut self.sessions[key];
        if let Some(secs) = packet.session_expiry_seconds {
            // What was to end with the connection cannot be kept after all
            // (3.14.2.2.2).
            if session.expiry_secs == 0 && secs != 0 {
                return Err(ReasonCode::ProtocolError);
            }
            session.expiry_secs = secs.min(self.limits.session_expiry_secs);
        }
        if packet.reason == ReasonCode::Success {
            session.will = None;
        }
        if let Some(link) = self.detach(key) {
            let farewell = Farewell {
                packet_bytes_max: link.packet_bytes_max,
                last: None,
            };
            self.set_slot(link.connection, Slot::Leaving(farewell));
            self.tell_connection(link.connection);
        }
        self.left(now, key);
        Ok(())
    }
}
