//! A server is replaced on two workers while clients are connected: what is before its core
//! is that of the new one for them too, once it is deployed and not before.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "server_support/client.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared by several tests")]
mod client;
#[path = "server_support/cores.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared by several tests")]
mod cores;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use client::{PATIENCE, TestClient, publish};
use cores::at_home;
use tidegate_mqtt::codec::{Delivery, Packet, Publish, QualityOfService};
use tidegate_mqtt::server::chain::{
    AcceptFactory, ClientInfo, HandlerFactory, MqttRequest, Refused, RequestPacket, handler_factory,
};
use tidegate_mqtt::server::hooks::Hooks;
use tidegate_mqtt::server::{Exchange, MqttServerFactory, ServerSettings};
use tidegate_orchestrator::{Change, RuntimeConfig, SiteName, WorkerJoin, WorkerManager};
use tidegate_runtime::listener::{ListenAddr, ListenerBuilder};
use tidegate_runtime::local::block_on;
use tidegate_service::{AsyncMakeServiceWrapper, FactoryStack, MakeService, Service, layer_fn};
use tokio::time::timeout;

/// Puts its name in the place of what is published.
struct Stamp<S> {
    inner: S,
    name: &'static str,
}

impl<S> Service<MqttRequest> for Stamp<S>
where
    S: Service<MqttRequest, Response = MqttRequest, Error = Refused>,
{
    type Response = MqttRequest;
    type Error = Refused;

    async fn call(&self, mut request: MqttRequest) -> Result<MqttRequest, Refused> {
        if let RequestPacket::Publish(publish) = &mut request.packet {
            publish.payload = self.name.into();
        }
        self.inner.call(request).await
    }
}

/// A chain that cannot be made is called this.
const BROKEN: &str = "broken";

struct StampFactory<F> {
    inner: F,
    name: &'static str,
}

impl<F: MakeService<Error: std::error::Error + Send + Sync + 'static>> MakeService
    for StampFactory<F>
{
    type Service = Stamp<F::Service>;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn make_via_ref(&self, old: Option<&Self::Service>) -> Result<Self::Service, Self::Error> {
        if self.name == BROKEN {
            return Err("it is broken".into());
        }
        let inner = self.inner.make_via_ref(old.map(|old| &old.inner))?;
        let name = self.name;
        Ok(Stamp { inner, name })
    }
}

fn chain(name: &'static str) -> HandlerFactory {
    let stack =
        FactoryStack::new(())
            .replace(AcceptFactory)
            .push(layer_fn(move |&(): &(), inner| StampFactory {
                inner,
                name,
            }));
    handler_factory(AsyncMakeServiceWrapper(stack.into_inner()))
}

/// Counts what is published.
#[derive(Debug, Default)]
struct Count(AtomicUsize, Mutex<Vec<String>>);

impl Hooks for Count {
    fn on_publish(&self, client: &ClientInfo, _: &Publish) {
        self.0.fetch_add(1, Ordering::Relaxed);
        self.1.lock().unwrap().push(client.id.to_string());
    }
}

type Manager = WorkerManager<MqttServerFactory, ListenerBuilder>;

struct Rig {
    workers: Vec<WorkerJoin>,
    manager: Manager,
    exchange: Arc<Exchange>,
    listen: std::net::SocketAddr,
}

impl Rig {
    async fn start(name: &'static str) -> Self {
        let mut manager = Manager::new(RuntimeConfig {
            workers: 2,
            pin: false,
            ..RuntimeConfig::default()
        });
        let workers = manager.spawn_workers_async();
        let mut rig = Self {
            workers,
            manager,
            exchange: Arc::new(Exchange::new(2)),
            listen: "127.0.0.1:0".parse().unwrap(),
        };
        rig.deploy(rig.factory(name), "broker").await.unwrap();
        let status = rig.manager.status().await;
        let addresses = &status.sites[&SiteName::from("broker")].addresses;
        match addresses.first() {
            Some(ListenAddr::Tcp(address)) => rig.listen = *address,
            other => panic!("a port is awaited, not {other:?}"),
        }
        rig
    }

    fn factory(&self, name: &'static str) -> MqttServerFactory {
        let settings = ServerSettings::default();
        MqttServerFactory::new(settings, Arc::clone(&self.exchange)).with_handler(chain(name))
    }

    async fn deploy(
        &self,
        factory: MqttServerFactory,
        site: &str,
    ) -> Result<(), tidegate_orchestrator::ApplyError> {
        let listeners = ListenerBuilder::try_from(&*self.listen.to_string()).unwrap();
        let change = Change::Deploy {
            site: SiteName::from(site),
            chain: factory,
            listeners,
        };
        self.manager.apply(vec![change]).await.map(drop)
    }
}

/// What becomes of a message on its way from a client to itself.
async fn stamped(client: &mut TestClient, topic: &str) -> String {
    client
        .send(&publish(topic, Delivery::AtMostOnce, b"as sent"))
        .await;
    match client.receive().await {
        Some(Packet::Publish(publish)) => String::from_utf8(publish.payload.to_vec()).unwrap(),
        other => panic!("PUBLISH is awaited, not {other:?}"),
    }
}

/// Waits until what a client publishes is stamped with this.
async fn until_stamped(client: &mut TestClient, topic: &str, name: &str) {
    let waiting = async {
        while stamped(client, topic).await != name {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(PATIENCE, waiting).await.unwrap();
}

#[test]
fn a_new_chain_and_new_hooks_are_before_connected_clients_of_every_worker() {
    block_on(async {
        let rig = Rig::start("old").await;
        let mut clients = Vec::new();
        for core in 0..2 {
            let id = at_home(core, "client");
            let mut client = TestClient::connect(rig.listen, &id).await;
            client.subscribe(&id, QualityOfService::AtMostOnce).await;
            assert_eq!(stamped(&mut client, &id).await, "old");
            clients.push((client, id));
        }

        // What is staged and not deployed is in force for nobody.
        let refused = rig.deploy(rig.factory(BROKEN), "broker").await;
        assert!(refused.is_err());
        for (client, id) in &mut clients {
            assert_eq!(stamped(client, id).await, "old");
        }

        let count = Arc::new(Count::default());
        let factory = rig.factory("new");
        let factory = factory.with_hooks(Arc::clone(&count) as Arc<dyn Hooks>);
        rig.deploy(factory, "broker").await.unwrap();
        // Nobody connects anew.
        for (client, id) in &mut clients {
            until_stamped(client, id, "new").await;
        }
        let told = count.1.lock().unwrap().clone();
        for (_, id) in &clients {
            assert!(told.contains(id), "{told:?}");
        }

        let factory = MqttServerFactory::new(ServerSettings::default(), Arc::clone(&rig.exchange));
        rig.deploy(factory, "broker").await.unwrap();
        for (client, id) in &mut clients {
            until_stamped(client, id, "as sent").await;
        }
        let told = count.0.load(Ordering::Relaxed);
        for (client, id) in &mut clients {
            assert_eq!(stamped(client, id).await, "as sent");
        }
        assert_eq!(
            count.0.load(Ordering::Relaxed),
            told,
            "the old hooks are gone"
        );
        drop(clients);
        rig.manager.shutdown(Duration::from_secs(5)).await;
        for worker in rig.workers {
            worker.join().await;
        }
    });
}
