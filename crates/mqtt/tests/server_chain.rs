//! A chain before the core sees what clients ask for, changes it, refuses it or takes its
//! time over it; hooks are told what happens.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "server_support/client.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared by several tests")]
mod client;

use std::cell::Cell;
use std::num::NonZeroU16;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use client::{TestBroker, TestClient, connect, publish, serve};
use tidegate_mqtt::broker::PublishOut;
use tidegate_mqtt::codec::{
    Connect, Delivery, Packet, PacketIdentifier, ProtocolVersion, Publish, QualityOfService,
    ReasonCode, Subscribe, TopicAlias, TopicName,
};
use tidegate_mqtt::server::chain::{
    AcceptFactory, ClientInfo, HandlerFactory, MqttRequest, Refused, RequestPacket, handler_factory,
};
use tidegate_mqtt::server::hooks::Hooks;
use tidegate_mqtt::server::{Exchange, MqttServer, MqttServerFactory, ServerSettings};
use tidegate_runtime::connections::Connections;
use tidegate_runtime::local::block_on;
use tidegate_service::{AsyncMakeService, FactoryStack, MakeService, Service, layer_fn};
use tokio::net::TcpListener;

const QOS1: Delivery = Delivery::AtLeastOnce(PacketIdentifier::FIRST);

/// What a topic's first level says is done with the request.
struct Censor<S> {
    inner: S,
    /// Requests seen, by this one and those before it.
    seen: Cell<u64>,
}

impl<S> Service<MqttRequest> for Censor<S>
where
    S: Service<MqttRequest, Response = MqttRequest, Error = Refused>,
{
    type Response = MqttRequest;
    type Error = Refused;

    async fn call(&self, mut request: MqttRequest) -> Result<MqttRequest, Refused> {
        self.seen.set(self.seen.get() + 1);
        let refuse = |reason| Err(Refused { reason });
        match &mut request.packet {
            RequestPacket::Connect(_) if &*request.client.id == "banned" => {
                return refuse(ReasonCode::Banned);
            }
            RequestPacket::Subscribe(subscribe)
                if subscribe.subscriptions[0].filter.as_str() == "secret" =>
            {
                return refuse(ReasonCode::NotAuthorized);
            }
            RequestPacket::Publish(publish) => {
                let topic = publish.topic.clone().unwrap();
                match topic.as_str() {
                    "refused" => return refuse(ReasonCode::QuotaExceeded),
                    "no-such-answer" => return refuse(ReasonCode::KeepAliveTimeout),
                    "changed" => {
                        publish.topic = Some(TopicName::try_from("other").unwrap());
                        publish.payload = "changed".into();
                    }
                    "slow" => tokio::task::yield_now().await,
                    "for-ever" => std::future::pending().await,
                    "panics" => panic!("a chain of a test"),
                    "count" => publish.payload = self.seen.get().to_string().into(),
                    _ => {}
                }
            }
            _ => {}
        }
        self.inner.call(request).await
    }
}

struct CensorFactory<F>(F);

impl<F: MakeService> MakeService for CensorFactory<F> {
    type Service = Censor<F::Service>;
    type Error = F::Error;

    fn make_via_ref(&self, old: Option<&Self::Service>) -> Result<Self::Service, F::Error> {
        Ok(Censor {
            inner: self.0.make_via_ref(old.map(|old| &old.inner))?,
            seen: Cell::new(old.map_or(0, |old| old.seen.get())),
        })
    }
}

fn chain() -> HandlerFactory {
    let stack = FactoryStack::new(())
        .replace(AcceptFactory)
        .push(layer_fn(|&(): &(), inner| CensorFactory(inner)));
    handler_factory(stack.into_inner())
}

fn factory() -> MqttServerFactory {
    let settings = ServerSettings {
        handler_timeout: Duration::from_millis(100),
        ..ServerSettings::default()
    };
    MqttServerFactory::new(settings, Arc::new(Exchange::new(1)))
}

/// A server on this worker, as a factory makes it.
async fn made_broker(factory: &MqttServerFactory) -> TestBroker {
    made_broker_after(factory, None).await
}

/// The same in the place of another.
async fn made_broker_after(factory: &MqttServerFactory, old: Option<&MqttServer>) -> TestBroker {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let connections = Connections::new();
    let server = connections.while_made(async { factory.make_via_ref(old).await.unwrap() });
    let server = Rc::new(server.await);
    serve(listener, connections, server)
}

async fn censored() -> TestBroker {
    made_broker(&factory().with_handler(chain())).await
}

async fn acknowledged(client: &mut TestClient, topic: &str) -> ReasonCode {
    client.send(&publish(topic, QOS1, b"as sent")).await;
    match client.receive().await {
        Some(Packet::PublishAck(ack)) => ack.reason,
        other => panic!("PUBACK is awaited, not {other:?}"),
    }
}

async fn message(client: &mut TestClient) -> Publish {
    match client.receive().await {
        Some(Packet::Publish(publish)) => publish,
        other => panic!("PUBLISH is awaited, not {other:?}"),
    }
}

#[test]
fn a_chain_refuses_in_the_words_of_the_protocol() {
    block_on(async {
        let broker = censored().await;
        let mut banned = TestClient::open(broker.address, ProtocolVersion::V5).await;
        banned.send(&connect(ProtocolVersion::V5, "banned")).await;
        match banned.receive().await {
            Some(Packet::ConnectAck(ack)) => assert_eq!(ack.reason, ReasonCode::Banned),
            other => panic!("CONNACK is awaited, not {other:?}"),
        }
        assert_eq!(banned.receive().await, None);

        let mut client = TestClient::connect(broker.address, "client").await;
        let refused = acknowledged(&mut client, "refused").await;
        assert_eq!(refused, ReasonCode::QuotaExceeded);
        let odd = acknowledged(&mut client, "no-such-answer").await;
        assert_eq!(odd, ReasonCode::UnspecifiedError);
        let exactly_once = Delivery::ExactlyOnce(PacketIdentifier::FIRST);
        client.send(&publish("refused", exactly_once, b"")).await;
        match client.receive().await {
            Some(Packet::PublishReceived(ack)) => {
                assert_eq!(ack.reason, ReasonCode::QuotaExceeded);
            }
            other => panic!("PUBREC is awaited, not {other:?}"),
        }
        client
            .subscribe("secret", QualityOfService::AtMostOnce)
            .await;
        client.subscribe("#", QualityOfService::AtMostOnce).await;
        // Nothing comes of this one, and the next shows it.
        client
            .send(&publish("refused", Delivery::AtMostOnce, b""))
            .await;
        client
            .send(&publish("allowed", Delivery::AtMostOnce, b""))
            .await;
        let seen = message(&mut client).await;
        assert_eq!(seen.topic.unwrap().as_str(), "allowed");
        let session = broker
            .server
            .broker()
            .session("client")
            .unwrap()
            .subscriptions;
        assert_eq!(session, 1, "a refused subscription is none");
    });
}

#[test]
fn a_chain_changes_what_the_broker_hears_even_behind_an_alias() {
    block_on(async {
        let broker = censored().await;
        let mut receiver = TestClient::connect(broker.address, "receiver").await;
        receiver.subscribe("#", QualityOfService::AtMostOnce).await;
        let mut sender = TestClient::connect(broker.address, "sender").await;
        let Packet::Publish(first) = publish("changed", Delivery::AtMostOnce, b"x") else {
            panic!("it is PUBLISH");
        };
        let first = Publish {
            topic_alias: Some(TopicAlias(NonZeroU16::MIN)),
            ..first
        };
        let again = Publish {
            topic: None,
            ..first.clone()
        };
        sender.send(&Packet::Publish(first)).await;
        sender.send(&Packet::Publish(again)).await;
        for _ in 0..2 {
            let seen = message(&mut receiver).await;
            assert_eq!(seen.topic.unwrap().as_str(), "other");
            assert_eq!(seen.payload, "changed");
        }
    });
}

#[test]
fn what_comes_behind_a_slow_request_keeps_its_place() {
    block_on(async {
        let broker = censored().await;
        let mut receiver = TestClient::connect(broker.address, "receiver").await;
        receiver.subscribe("#", QualityOfService::AtMostOnce).await;
        let mut sender = TestClient::connect(broker.address, "sender").await;
        for number in 0..50_u8 {
            let topic = if number % 3 == 0 { "slow" } else { "fast" };
            sender
                .send(&publish(topic, Delivery::AtMostOnce, &[number]))
                .await;
        }
        for number in 0..50_u8 {
            assert_eq!(message(&mut receiver).await.payload[..], [number]);
        }
    });
}

#[test]
fn a_chain_that_never_answers_or_panics_refuses_one_request_only() {
    block_on(async {
        let broker = censored().await;
        let mut client = TestClient::connect(broker.address, "client").await;
        let late = acknowledged(&mut client, "for-ever").await;
        assert_eq!(late, ReasonCode::UnspecifiedError);
        let panicked = acknowledged(&mut client, "panics").await;
        assert_eq!(panicked, ReasonCode::ImplementationSpecificError);
        let fine = acknowledged(&mut client, "fine").await;
        assert_eq!(fine, ReasonCode::NoMatchingSubscribers);
    });
}

#[test]
fn a_client_that_leaves_while_it_waits_leaves_nothing_behind() {
    block_on(async {
        let broker = censored().await;
        let mut client = TestClient::connect(broker.address, "client").await;
        client.send(&publish("for-ever", QOS1, b"")).await;
        client.send(&Packet::PingRequest).await;
        drop(client);
        let mut other = TestClient::connect(broker.address, "other").await;
        // It may have the number of the one that left.
        let fine = acknowledged(&mut other, "fine").await;
        assert_eq!(fine, ReasonCode::NoMatchingSubscribers);
    });
}

#[test]
fn a_chain_carries_its_state_over_an_update() {
    block_on(async {
        let factory = factory().with_handler(chain());
        let broker = made_broker(&factory).await;
        let first = TestClient::connect(broker.address, "first").await;
        let next = made_broker_after(&factory, Some(&broker.server)).await;
        let mut second = TestClient::connect(next.address, "second").await;
        second
            .subscribe("count", QualityOfService::AtMostOnce)
            .await;
        second
            .send(&publish("count", Delivery::AtMostOnce, b""))
            .await;
        // CONNECT of the first under the old chain, three requests under the new one.
        assert_eq!(message(&mut second).await.payload, "4");
        drop(first);
    });
}

#[derive(Debug, Default)]
struct Diary(Mutex<Vec<String>>);

impl Diary {
    fn note(&self, client: &ClientInfo, what: String) {
        self.0.lock().unwrap().push(format!("{} {what}", client.id));
    }
}

impl Hooks for Diary {
    fn on_connect(&self, client: &ClientInfo, _: &Connect) {
        self.note(client, "connects".to_owned());
    }

    fn on_publish(&self, client: &ClientInfo, packet: &Publish) {
        let topic = packet.topic.clone().unwrap();
        self.note(client, format!("publishes {}", topic.as_str()));
    }

    fn on_subscribe(&self, client: &ClientInfo, packet: &Subscribe) {
        let filter = packet.subscriptions[0].filter.as_str();
        self.note(client, format!("subscribes {filter}"));
    }

    fn on_deliver(&self, client: &ClientInfo, message: &PublishOut) {
        let topic = message.message().topic().as_str();
        self.note(client, format!("is sent {topic}"));
    }
}

#[test]
fn hooks_are_told_in_order_and_not_of_what_is_refused() {
    block_on(async {
        let diary = Arc::new(Diary::default());
        let factory = factory().with_handler(chain());
        let broker = made_broker(&factory.with_hooks(Arc::clone(&diary) as Arc<dyn Hooks>)).await;
        let mut client = TestClient::connect(broker.address, "client").await;
        client.subscribe("a", QualityOfService::AtMostOnce).await;
        client
            .send(&publish("refused", Delivery::AtMostOnce, b""))
            .await;
        client.send(&publish("a", Delivery::AtMostOnce, b"")).await;
        message(&mut client).await;
        let told = diary.0.lock().unwrap().clone();
        let expected = [
            "client connects",
            "client subscribes a",
            "client publishes a",
            "client is sent a",
        ];
        assert_eq!(told, expected);
    });
}
