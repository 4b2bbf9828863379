//! A broker inside another program: it listens, keeps a diary of who publishes what, lets
//! nobody publish below `private/`, and publishes a message by itself.
//!
//! `cargo run -p tidegate-mqtt --example embedded_broker -- 127.0.0.1:1883`, then
//! `mosquitto_sub -t '#' -v` in another terminal. It runs until its input ends.

#![forbid(unsafe_code)]

use std::error::Error;
use std::io::{self, Read, Write};
use std::sync::Arc;

use tidegate_mqtt::broker::MessageParts;
use tidegate_mqtt::codec::{MessageProperties, Publish, QualityOfService, ReasonCode, TopicName};
use tidegate_mqtt::server::chain::{
    AcceptFactory, ClientInfo, HandlerFactory, MqttRequest, Refused, RequestPacket, handler_factory,
};
use tidegate_mqtt::server::embedded::BrokerBuilder;
use tidegate_mqtt::server::hooks::Hooks;
use tidegate_runtime::listener::ListenerBuilder;
use tidegate_runtime::local::block_on;
use tidegate_service::{FactoryStack, MakeService, Service, layer_fn};

// ANCHOR: start
fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1);
    let address = address.as_deref().unwrap_or("127.0.0.1:0");
    let broker = BrokerBuilder::new(ListenerBuilder::try_from(address)?)
        .workers(2)
        .handler(chain())
        .hooks(Arc::new(Diary))
        .start()?;
    for address in broker.local_addresses() {
        say(&format!("listening at {address}"));
    }
    block_on(broker.operator().publish(MessageParts {
        topic: TopicName::try_from("greeting")?,
        properties: MessageProperties::new(),
        payload: "hello from the program".into(),
        qos: QualityOfService::AtLeastOnce,
        retain: true,
        expires_at: None,
    }))?;
    io::stdin().read_to_end(&mut Vec::new())?;
    let figures = block_on(broker.operator().figures());
    say(&format!("{} messages", figures.counters.publishes_received));
    broker.stop();
    Ok(())
}
// ANCHOR_END: start

/// Is told what happens.
#[derive(Debug)]
struct Diary;

impl Hooks for Diary {
    fn on_publish(&self, client: &ClientInfo, packet: &Publish) {
        if let Some(topic) = &packet.topic {
            say(&format!("{} publishes to {}", client.id, topic.as_str()));
        }
    }
}

/// Lets nobody publish below `private/`.
struct Guard<S>(S);

impl<S> Service<MqttRequest> for Guard<S>
where
    S: Service<MqttRequest, Response = MqttRequest, Error = Refused>,
{
    type Response = MqttRequest;
    type Error = Refused;

    async fn call(&self, request: MqttRequest) -> Result<MqttRequest, Refused> {
        if let RequestPacket::Publish(publish) = &request.packet
            && let Some(topic) = &publish.topic
            && topic.as_str().starts_with("private/")
        {
            return Err(Refused {
                reason: ReasonCode::NotAuthorized,
            });
        }
        self.0.call(request).await
    }
}

struct GuardFactory<F>(F);

impl<F: MakeService> MakeService for GuardFactory<F> {
    type Service = Guard<F::Service>;
    type Error = F::Error;

    fn make_via_ref(&self, old: Option<&Self::Service>) -> Result<Self::Service, F::Error> {
        self.0.make_via_ref(old.map(|old| &old.0)).map(Guard)
    }
}

fn chain() -> HandlerFactory {
    let stack = FactoryStack::new(())
        .replace(AcceptFactory)
        .push(layer_fn(|&(): &(), inner| GuardFactory(inner)));
    handler_factory(stack.into_inner())
}

fn say(line: &str) {
    // Nobody is left to be told that standard output is gone.
    let _ = writeln!(io::stdout().lock(), "{line}");
}
