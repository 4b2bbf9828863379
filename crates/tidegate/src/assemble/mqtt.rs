//! The chain of an MQTT site, and where the cores of each broker meet.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use tidegate_http::server::{Http2, ServerSettings, ServerTimeouts};
use tidegate_http::websocket::{WebSocketFactory, WebSocketMode, WebSocketSite};
use tidegate_mqtt::broker::shard::SHARDS_MAX;
use tidegate_mqtt::server::operator::Operator;
use tidegate_mqtt::server::{Exchange, MqttServerFactory, ServerSettings as MqttSettings};
use tidegate_mqtt::store::Store;
use tidegate_runtime::connections::Accepted;
use tidegate_runtime::proxy_protocol::ProxyProtocolFactory;
use tidegate_runtime::tls::{TlsFactory, TlsMode};
use tidegate_runtime::worker::allowed_cores;
use tidegate_service::layer::layer_fn;
use tidegate_service::stack::FactoryStack;

use super::AssembleError;
use super::any_error::AnyErrorFactory;
use super::chain::SiteChain;
use crate::settings::{Mqtt, Protocol, Server, Settings, Store as StoreSettings};

/// The meeting places of all brokers, by server name. They outlive every configuration:
/// a worker that is replaced later has to find the cores of the others.
#[derive(Debug, Default)]
pub(super) struct Exchanges(RefCell<BTreeMap<String, Meeting>>);

/// Where the cores of one broker meet, and the way of its operator to them.
#[derive(Debug)]
struct Meeting {
    exchange: Arc<Exchange>,
    operator: Operator,
}

impl Exchanges {
    /// Where the cores of this server meet. A store is opened here, which waits for the disk.
    pub(super) fn of(
        &self,
        name: &str,
        settings: &Settings,
    ) -> Result<Arc<Exchange>, AssembleError> {
        let mut exchanges = self.0.borrow_mut();
        exchanges.retain(|name, _| settings.servers.contains_key(name));
        let wanted = settings
            .servers
            .get(name)
            .and_then(|server| match &server.protocol {
                Protocol::Mqtt(mqtt) => mqtt.store.as_ref(),
                _ => None,
            });
        if let Some(meeting) = exchanges.get(name) {
            if keeps_as(&meeting.exchange, wanted) {
                return Ok(Arc::clone(&meeting.exchange));
            }
            // Without workers it is a server that was taken out, or never came into force;
            // its operator holds it as well.
            if Arc::strong_count(&meeting.exchange) > 2 {
                return Err(AssembleError::BrokerStoreChanged {
                    server: name.to_owned(),
                });
            }
            exchanges.remove(name);
        }
        let workers = match settings.runtime.workers {
            0 => allowed_cores().len().max(1),
            workers => workers,
        };
        if workers > usize::from(SHARDS_MAX) {
            return Err(AssembleError::BrokerWorkers {
                server: name.to_owned(),
                workers,
            });
        }
        let exchange = Arc::new(make(name, wanted, workers)?);
        let meeting = Meeting {
            operator: Operator::new(Arc::clone(&exchange)),
            exchange: Arc::clone(&exchange),
        };
        exchanges.insert(name.to_owned(), meeting);
        Ok(exchange)
    }

    /// The ways to the brokers among the servers of `settings`.
    pub(super) fn operators(&self, settings: &Settings) -> BTreeMap<String, Operator> {
        let is_broker = |name: &str| {
            let server = settings.servers.get(name);
            server.is_some_and(|it| matches!(it.protocol, Protocol::Mqtt(_)))
        };
        let exchanges = self.0.borrow();
        let brokers = exchanges.iter().filter(|(name, _)| is_broker(name));
        brokers
            .map(|(name, meeting)| (name.clone(), meeting.operator.clone()))
            .collect()
    }
}

/// Whether the broker keeps its state as the settings say.
fn keeps_as(exchange: &Exchange, wanted: Option<&StoreSettings>) -> bool {
    match (exchange.store(), wanted) {
        (None, None) => true,
        (Some(store), Some(wanted)) => {
            store.promise() == wanted.promise && store.directory() == wanted.directory
        }
        _ => false,
    }
}

fn make(
    name: &str,
    wanted: Option<&StoreSettings>,
    workers: usize,
) -> Result<Exchange, AssembleError> {
    let Some(wanted) = wanted else {
        return Ok(Exchange::new(workers));
    };
    // As few as they are: checked before.
    let cores = u8::try_from(workers).unwrap_or(SHARDS_MAX);
    let store = Store::open(&wanted.directory, wanted.promise, cores);
    let store = store.map_err(|source| AssembleError::BrokerStore {
        server: name.to_owned(),
        source: Box::new(source),
    })?;
    Ok(Exchange::with_store(store))
}

pub(super) fn site(
    server: &Server,
    mqtt: &Mqtt,
    settings: MqttSettings,
    exchange: Arc<Exchange>,
    tls: TlsMode,
) -> SiteChain {
    let proxied = server.proxy_protocol.clone();
    let websocket = websocket_mode(mqtt);
    let settings = granted(server, settings);
    FactoryStack::new(())
        // Turns bytes into packets for the worker's broker core, and back.
        .replace(MqttServerFactory::new(settings, exchange))
        // Makes the WebSocket handshake, if there is one.
        .push(layer_fn(move |&(): &(), inner| {
            WebSocketFactory::new(websocket.clone(), inner)
        }))
        // Makes the TLS handshake, if there is one.
        .push(layer_fn(move |&(): &(), inner| {
            TlsFactory::new(tls.clone(), inner)
        }))
        // Takes what a proxy in front says of the client, if one does.
        .push(layer_fn(move |&(): &(), inner| {
            ProxyProtocolFactory::new(proxied.clone(), inner)
        }))
        // Says of any protocol's error that it is one.
        .push(layer_fn(|&(): &(), inner| AnyErrorFactory::new(inner)))
        .check_make_svc::<Accepted>()
        .push_boxed_service::<Accepted>()
        .into_arc_async_factory()
        .into_inner()
}

/// What clients are granted, and how long sending them all away may take: what is left of
/// the drain when the last has had his time to read.
fn granted(server: &Server, mut settings: MqttSettings) -> MqttSettings {
    let drain = server.drain;
    let within = drain.saturating_sub(settings.close_timeout + settings.linger);
    settings.broker.shutdown_within = within.max(drain / 2);
    settings
}

/// The requests before the switch are held to what CONNECT is held to.
fn websocket_mode(mqtt: &Mqtt) -> WebSocketMode {
    let Some(websocket) = &mqtt.websocket else {
        return WebSocketMode::Off;
    };
    let connect = mqtt.settings.connect_timeout;
    WebSocketMode::On(Box::new(WebSocketSite {
        path: websocket.path.clone(),
        handshake: websocket.handshake.clone(),
        http: ServerSettings {
            timeouts: ServerTimeouts {
                header: connect,
                body: connect,
                idle: connect,
                write: connect,
            },
            http2: Http2::Off,
            ..ServerSettings::default()
        },
    }))
}
