//! A broker on this thread, and clients that say exactly what a test wants said.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tidegate_mqtt::codec::{
    Connect, ConnectProperties, Decoder, Delivery, Encoder, MessageProperties,
    PACKET_BYTES_LARGEST, Packet, PacketIdentifier, ProtocolVersion, Publish, QualityOfService,
    Subscribe, Subscription, SubscriptionOptions, Text, TopicFilter, TopicName, UserProperties,
};
use tidegate_mqtt::server::{Exchange, MqttServer, ServerSettings};
use tidegate_runtime::connections::{Accepted, Connections};
use tidegate_runtime::io::Io;
use tidegate_service::Service;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// Longer than anything here takes on the busiest machine.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub struct TestBroker {
    pub address: SocketAddr,
    pub connections: Connections,
    pub server: Rc<MqttServer>,
}

/// Must be called on a worker's runtime, whose end is the broker's.
pub async fn broker(settings: ServerSettings) -> TestBroker {
    part_of_broker(settings, Arc::new(Exchange::new(1))).await
}

/// This worker's part of a broker of several cores.
pub async fn part_of_broker(settings: ServerSettings, exchange: Arc<Exchange>) -> TestBroker {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let connections = Connections::new();
    let server = connections.while_made(async { Rc::new(MqttServer::new(settings, exchange)) });
    let server = server.await;
    serve(listener, connections, server)
}

/// Accepts for a server on this worker.
pub fn serve(
    listener: TcpListener,
    connections: Connections,
    server: Rc<MqttServer>,
) -> TestBroker {
    let address = listener.local_addr().unwrap();
    let (serving, group) = (Rc::clone(&server), connections.clone());
    tokio::task::spawn_local(async move {
        loop {
            let (stream, peer) = listener.accept().await.unwrap();
            let server = Rc::clone(&serving);
            group.spawn(peer.into(), None, move |handle| async move {
                let accepted = Accepted {
                    io: Io::from_tcp(stream),
                    peer: peer.into(),
                    local: address.into(),
                    handle,
                };
                server.call(accepted).await
            });
        }
    });
    TestBroker {
        address,
        connections,
        server,
    }
}

pub struct TestClient {
    pub stream: TcpStream,
    decoder: Decoder,
    encoder: Encoder,
    read: BytesMut,
}

impl TestClient {
    /// A socket, and nothing said.
    pub async fn open(address: SocketAddr, version: ProtocolVersion) -> Self {
        Self {
            stream: TcpStream::connect(address).await.unwrap(),
            decoder: Decoder::client(version, PACKET_BYTES_LARGEST),
            encoder: Encoder::new(version, PACKET_BYTES_LARGEST),
            read: BytesMut::new(),
        }
    }

    /// Connected with MQTT 5.0 and a new session.
    pub async fn connect(address: SocketAddr, id: &str) -> Self {
        let mut client = Self::open(address, ProtocolVersion::V5).await;
        client.send(&connect(ProtocolVersion::V5, id)).await;
        assert!(matches!(
            client.receive().await,
            Some(Packet::ConnectAck(_))
        ));
        client
    }

    pub async fn send(&mut self, packet: &Packet) {
        let mut bytes = BytesMut::new();
        self.encoder.encode(packet, &mut bytes).unwrap();
        self.stream.write_all(&bytes).await.unwrap();
    }

    /// The next packet; none when the server has finished.
    pub async fn receive(&mut self) -> Option<Packet> {
        timeout(PATIENCE, async {
            loop {
                if let Some(packet) = self.decoder.decode(&mut self.read).unwrap() {
                    return Some(packet);
                }
                if self.stream.read_buf(&mut self.read).await.unwrap() == 0 {
                    return None;
                }
            }
        })
        .await
        .expect("the server says something or finishes")
    }

    pub async fn subscribe(&mut self, filter: &str, quality: QualityOfService) {
        let subscribe = Subscribe {
            packet_identifier: PacketIdentifier::FIRST,
            subscription_identifier: None,
            user_properties: UserProperties::new(),
            subscriptions: vec![Subscription {
                filter: TopicFilter::try_from(filter).unwrap(),
                options: SubscriptionOptions {
                    quality_of_service: quality,
                    ..SubscriptionOptions::default()
                },
            }],
        };
        self.send(&Packet::Subscribe(subscribe)).await;
        assert!(matches!(
            self.receive().await,
            Some(Packet::SubscribeAck(_))
        ));
    }
}

pub fn connect(version: ProtocolVersion, id: &str) -> Packet {
    Packet::Connect(Box::new(Connect {
        version,
        clean_start: true,
        keep_alive_seconds: 0,
        client_identifier: Text::copy_from(id).unwrap(),
        will: None,
        user_name: None,
        password: None,
        properties: ConnectProperties::default(),
    }))
}

pub fn publish(topic: &str, delivery: Delivery, payload: &[u8]) -> Packet {
    Packet::Publish(Publish {
        delivery,
        duplicate: false,
        retain: false,
        topic: Some(TopicName::try_from(topic).unwrap()),
        topic_alias: None,
        message_expiry_seconds: None,
        subscription_identifiers: Vec::new(),
        properties: MessageProperties::new(),
        payload: bytes::Bytes::copy_from_slice(payload),
    })
}
