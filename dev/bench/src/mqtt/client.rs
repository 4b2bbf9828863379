//! One MQTT connection of the load: it acknowledges by itself what it is sent, and counts
//! what is acknowledged to it. It works in turns; who calls it knows when the socket is ready.

use anyhow::{Context, Result, bail, ensure};
use bytes::{BufMut, Bytes, BytesMut};
use mio::net::TcpStream;
use socket2::{Domain, Socket, Type};
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use tidegate_mqtt::codec::{
    Acknowledgement, Connect, ConnectProperties, Decoder, Delivery, Disconnect, Encoder,
    PACKET_BYTES_LARGEST, Packet, PacketIdentifier, ProtocolVersion, Publish, PublishBody,
    PublishOptions, QualityOfService, ReasonCode, RetainHandling, Subscribe, Subscription,
    SubscriptionOptions, Text, TopicFilter, TopicForm, UserProperties, encode_publish_head,
};

/// All brokers of a run speak this one; it is the only one that they all speak well.
const VERSION: ProtocolVersion = ProtocolVersion::V311;
/// Filters of one SUBSCRIBE, so that it fits into what brokers take.
const FILTERS_PER_SUBSCRIBE: usize = 200;
const NARROW_BYTES: usize = 4096;
const NARROW_SEGMENT_BYTES: u32 = 536;
/// Long enough that no connection needs a PINGREQ.
const KEEP_ALIVE_SECONDS: u16 = 3600;

/// Whether the session ends with the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Session {
    /// It does.
    Clean,
    /// It is kept while the client is away.
    Kept,
}

/// How much of what a client does not read finds room in the kernel, on either side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Path {
    /// As much as the kernel sees fit: megabytes, on loopback.
    Wide,
    /// Little, as with a distant client: the kernel's buffers grow with segments and window.
    Narrow,
}

/// A connection to a broker.
#[derive(Debug)]
pub(crate) struct Client {
    socket: TcpStream,
    decoder: Decoder,
    encoder: Encoder,
    /// The start of a packet whose rest has not come.
    unfinished: BytesMut,
    unsent: BytesMut,
    identifier: PacketIdentifier,
    /// Own QoS 1 and 2 messages that the broker has not answered for.
    unacknowledged: u32,
    /// CONNECT, SUBSCRIBE and PINGREQ packets that have not been answered.
    unanswered: u32,
}

impl Client {
    /// Opens a connection to `port` of the loopback address; blocks until the kernel has it.
    pub(crate) fn open(port: u16, path: Path) -> Result<Self> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        if path == Path::Narrow {
            socket.set_recv_buffer_size(NARROW_BYTES)?;
            socket.set_tcp_mss(NARROW_SEGMENT_BYTES)?;
        }
        socket.connect(&address.into()).context("cannot connect")?;
        socket.set_tcp_nodelay(true)?;
        socket.set_nonblocking(true)?;
        Ok(Self {
            socket: TcpStream::from_std(socket.into()),
            decoder: Decoder::client(VERSION, PACKET_BYTES_LARGEST),
            encoder: Encoder::new(VERSION, PACKET_BYTES_LARGEST),
            unfinished: BytesMut::new(),
            unsent: BytesMut::new(),
            identifier: PacketIdentifier::FIRST,
            unacknowledged: 0,
            unanswered: 0,
        })
    }

    /// To be registered where readiness is awaited.
    pub(crate) const fn socket_mut(&mut self) -> &mut TcpStream {
        &mut self.socket
    }

    /// Own messages that wait for the broker's answer.
    pub(crate) const fn unacknowledged(&self) -> u32 {
        self.unacknowledged
    }

    /// Whether the broker has answered each CONNECT, SUBSCRIBE and PINGREQ.
    pub(crate) const fn is_settled(&self) -> bool {
        self.unanswered == 0
    }

    /// Bytes that the socket has not taken yet.
    pub(crate) fn unsent_bytes(&self) -> usize {
        self.unsent.len()
    }

    /// Appends CONNECT.
    pub(crate) fn connect(&mut self, name: &str, session: Session) -> Result<()> {
        let connect = Connect {
            version: VERSION,
            clean_start: session == Session::Clean,
            keep_alive_seconds: KEEP_ALIVE_SECONDS,
            client_identifier: Text::copy_from(name)?,
            will: None,
            user_name: None,
            password: None,
            properties: ConnectProperties::default(),
        };
        self.unanswered += 1;
        self.put(&Packet::Connect(Box::new(connect)))
    }

    /// Appends as many SUBSCRIBE packets as `filters` need.
    pub(crate) fn subscribe(&mut self, filters: &[String], qos: QualityOfService) -> Result<()> {
        for filters in filters.chunks(FILTERS_PER_SUBSCRIBE) {
            let subscription = |filter: &String| {
                Ok(Subscription {
                    filter: TopicFilter::new(Bytes::copy_from_slice(filter.as_bytes()))?,
                    options: SubscriptionOptions {
                        quality_of_service: qos,
                        no_local: false,
                        retain_as_published: false,
                        retain_handling: RetainHandling::default(),
                    },
                })
            };
            let subscriptions = filters.iter().map(subscription).collect::<Result<_>>()?;
            let packet_identifier = self.next_identifier();
            self.unanswered += 1;
            self.put(&Packet::Subscribe(Subscribe {
                packet_identifier,
                subscription_identifier: None,
                user_properties: UserProperties::default(),
                subscriptions,
            }))?;
        }
        Ok(())
    }

    /// Appends PUBLISH.
    pub(crate) fn publish(
        &mut self,
        topic: &str,
        qos: QualityOfService,
        payload: &[u8],
    ) -> Result<()> {
        let delivery = match qos {
            QualityOfService::AtMostOnce => Delivery::AtMostOnce,
            QualityOfService::AtLeastOnce => Delivery::AtLeastOnce(self.next_identifier()),
            QualityOfService::ExactlyOnce => Delivery::ExactlyOnce(self.next_identifier()),
        };
        if qos != QualityOfService::AtMostOnce {
            self.unacknowledged += 1;
        }
        let body = PublishBody {
            topic: topic.as_bytes(),
            properties: &[],
            payload_bytes: payload.len(),
        };
        let options = PublishOptions {
            delivery,
            duplicate: false,
            retain: false,
            topic_form: TopicForm::Name,
            message_expiry_seconds: None,
            subscription_identifiers: &[],
        };
        let out = &mut self.unsent;
        encode_publish_head(VERSION, PACKET_BYTES_LARGEST, &body, &options, out)?;
        out.put_slice(payload);
        Ok(())
    }

    /// Appends PINGREQ.
    pub(crate) fn ping(&mut self) -> Result<()> {
        self.unanswered += 1;
        self.put(&Packet::PingRequest)
    }

    /// Appends DISCONNECT.
    pub(crate) fn disconnect(&mut self) -> Result<()> {
        let disconnect = Disconnect::new(ReasonCode::Success);
        self.put(&Packet::Disconnect(Box::new(disconnect)))
    }

    /// Reads what there is, gives messages to `on_message` and appends the answers to them.
    pub(crate) fn receive(
        &mut self,
        scratch: &mut [u8],
        on_message: &mut impl FnMut(&Publish) -> Result<()>,
    ) -> Result<()> {
        loop {
            let count = match self.socket.read(scratch) {
                Ok(0) => bail!("the broker hung up"),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error).context("cannot read"),
            };
            let mut bytes = std::mem::take(&mut self.unfinished);
            bytes.extend_from_slice(&scratch[..count]);
            while let Some(packet) = self.decoder.decode(&mut bytes)? {
                self.take_in(packet, on_message)?;
            }
            self.unfinished = bytes;
            // The kernel says so when more comes.
            if count < scratch.len() {
                return Ok(());
            }
        }
    }

    fn take_in(
        &mut self,
        packet: Packet,
        on_message: &mut impl FnMut(&Publish) -> Result<()>,
    ) -> Result<()> {
        match packet {
            Packet::Publish(publish) => {
                on_message(&publish)?;
                match publish.delivery {
                    Delivery::AtMostOnce => Ok(()),
                    Delivery::AtLeastOnce(identifier) => {
                        self.put(&Packet::PublishAck(Acknowledgement::success(identifier)))
                    }
                    Delivery::ExactlyOnce(identifier) => {
                        let answer = Acknowledgement::success(identifier);
                        self.put(&Packet::PublishReceived(answer))
                    }
                }
            }
            Packet::PublishAck(_) | Packet::PublishComplete(_) => {
                let left = self.unacknowledged.checked_sub(1);
                self.unacknowledged = left.context("an answer to no message")?;
                Ok(())
            }
            Packet::PublishReceived(answer) => self.put(&Packet::PublishRelease(answer)),
            Packet::PublishRelease(answer) => self.put(&Packet::PublishComplete(answer)),
            Packet::ConnectAck(answer) => {
                let reason = answer.reason;
                ensure!(reason == ReasonCode::Success, "refused: {reason:?}");
                self.answered()
            }
            Packet::SubscribeAck(answer) => {
                let refused = answer.reasons.iter().find(|reason| reason.is_failure());
                ensure!(
                    refused.is_none(),
                    "a filter was refused: {:?}",
                    answer.reasons
                );
                self.answered()
            }
            Packet::PingResponse => self.answered(),
            other => bail!("unexpected {:?}", other.packet_type()),
        }
    }

    fn answered(&mut self) -> Result<()> {
        let left = self.unanswered.checked_sub(1);
        self.unanswered = left.context("an answer to nothing")?;
        Ok(())
    }

    /// Writes what is appended, as far as the socket takes it.
    pub(crate) fn send(&mut self) -> Result<()> {
        while !self.unsent.is_empty() {
            match self.socket.write(&self.unsent) {
                Ok(count) => drop(self.unsent.split_to(count)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error).context("cannot write"),
            }
        }
        Ok(())
    }

    fn put(&mut self, packet: &Packet) -> Result<()> {
        Ok(self.encoder.encode(packet, &mut self.unsent)?)
    }

    const fn next_identifier(&mut self) -> PacketIdentifier {
        let identifier = self.identifier;
        self.identifier = identifier.next();
        identifier
    }
}
