//! The client inside the program that a tap is.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use tidegate_runtime::deadline::Deadline;
use tokio::sync::oneshot;

use super::{Mouth, TappedMessage};
use crate::broker::{ConnectOrigin, Input, Outgoing, PublishOut};
use crate::codec::{
    Connect, ConnectProperties, Packet, PacketIdentifier, ProtocolVersion, ReasonCode, Subscribe,
    Subscription, SubscriptionOptions, Text, TopicFilter, UserProperties,
};
use crate::server::core::Core;
use crate::server::link::Seat;

/// Messages and answers that are taken before others have their turn.
const STEPS_PER_TURN: usize = 256;

/// How often it shows the core that it is there, unless it is told to do so more often.
const PING_EVERY: Duration = Duration::from_secs(30);

pub(super) struct Listener {
    seat: Seat,
    mouth: Mouth,
    /// Cut when nobody looks any more.
    tie: oneshot::Sender<()>,
    /// What is subscribed to once the core has let it in.
    filter: Option<TopicFilter>,
    /// For what became of the subscription, until it is known.
    reply: Option<oneshot::Sender<ReasonCode>>,
    deadline: Deadline,
    ping_every: Duration,
}

impl Listener {
    /// Connects as a client whose session ends with its connection.
    pub(super) fn enter(
        core: &Rc<Core>,
        filter: TopicFilter,
        mouth: Mouth,
        tie: oneshot::Sender<()>,
        reply: oneshot::Sender<ReasonCode>,
    ) -> Self {
        let seat = Seat::take(core);
        core.handle(Input::Connect {
            connection: seat.connection,
            packet: Box::new(Connect {
                version: ProtocolVersion::V5,
                clean_start: true,
                keep_alive_seconds: 0,
                // The core makes up one that is its own.
                client_identifier: Text::default(),
                will: None,
                user_name: None,
                password: None,
                properties: ConnectProperties::default(),
            }),
            origin: ConnectOrigin::default(),
        });
        core.settle();
        Self {
            seat,
            mouth,
            tie,
            filter: Some(filter),
            reply: Some(reply),
            deadline: Deadline::new(),
            ping_every: PING_EVERY,
        }
    }

    /// Subscribes, and passes on what comes until one side has enough.
    pub(super) async fn run(mut self) {
        self.deadline.arm(self.ping_every);
        poll_fn(|cx| self.poll(cx)).await;
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.seat.core.attend(self.seat.connection);
        if self.tie.poll_closed(cx).is_ready() {
            return Poll::Ready(());
        }
        while self.deadline.poll_elapsed(cx).is_ready() {
            self.tell(Packet::PingRequest);
            self.deadline.arm(self.ping_every);
        }
        for _ in 0..STEPS_PER_TURN {
            if self
                .seat
                .core
                .poll_ready(self.seat.connection, cx)
                .is_pending()
            {
                return Poll::Pending;
            }
            match self.seat.core.next_packet(self.seat.connection) {
                None => {}
                Some(Outgoing::Publish(publish)) => self.mouth.put(seen(&publish)),
                Some(Outgoing::Packet(packet)) => self.hear(&packet),
                Some(Outgoing::Close) => return Poll::Ready(()),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn hear(&mut self, packet: &Packet) {
        match packet {
            Packet::ConnectAck(ack) if ack.reason.is_failure() => self.answer(ack.reason),
            Packet::ConnectAck(ack) => {
                if let Some(secs @ 1..) = ack.properties.server_keep_alive_seconds {
                    self.ping_every = self.ping_every.min(Duration::from_secs(secs.into()));
                    self.deadline.arm(self.ping_every);
                }
                self.subscribe();
            }
            Packet::SubscribeAck(ack) => {
                let reason = ack.reasons.first().copied();
                self.answer(reason.unwrap_or(ReasonCode::UnspecifiedError));
            }
            _ => {}
        }
    }

    fn subscribe(&mut self) {
        let Some(filter) = self.filter.take() else {
            return;
        };
        self.tell(Packet::Subscribe(Subscribe {
            packet_identifier: PacketIdentifier::FIRST,
            subscription_identifier: None,
            user_properties: UserProperties::new(),
            subscriptions: vec![Subscription {
                filter,
                options: SubscriptionOptions::default(),
            }],
        }));
    }

    fn tell(&self, packet: Packet) {
        self.seat.core.handle(Input::OwnPacket {
            connection: self.seat.connection,
            packet,
        });
        self.seat.core.settle();
    }

    fn answer(&mut self, reason: ReasonCode) {
        if let Some(reply) = self.reply.take() {
            // Whoever asked may have given up meanwhile.
            let _ = reply.send(reason);
        }
    }
}

fn seen(publish: &PublishOut) -> TappedMessage {
    let message = publish.message();
    TappedMessage {
        topic: message.topic().clone(),
        payload: message.payload().clone(),
        qos: message.qos(),
        retain: publish.retain(),
    }
}
