//! The chain of an MQTT site, and where the cores of each broker meet.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use tidegate_mqtt::broker::shard::SHARDS_MAX;
use tidegate_mqtt::server::{Exchange, MqttServerFactory};
use tidegate_mqtt::store::Store;
use tidegate_runtime::connections::Accepted;
use tidegate_runtime::tls::{TlsFactory, TlsMode};
use tidegate_runtime::worker::allowed_cores;
use tidegate_service::layer::layer_fn;
use tidegate_service::stack::FactoryStack;

use super::AssembleError;
use super::any_error::AnyErrorFactory;
use super::chain::SiteChain;
use crate::settings::{Mqtt, Settings};

/// The meeting places of all brokers, by server name. They outlive every configuration:
/// a worker that is replaced later has to find the cores of the others.
#[derive(Debug, Default)]
pub(super) struct Exchanges(RefCell<BTreeMap<String, Arc<Exchange>>>);

impl Exchanges {
    /// Where the cores of this server meet. A store is opened here, which waits for the disk.
    pub(super) fn of(
        &self,
        name: &str,
        mqtt: &Mqtt,
        settings: &Settings,
    ) -> Result<Arc<Exchange>, AssembleError> {
        let mut exchanges = self.0.borrow_mut();
        exchanges.retain(|name, _| settings.servers.contains_key(name));
        if let Some(exchange) = exchanges.get(name) {
            if keeps_as(exchange, mqtt) {
                return Ok(Arc::clone(exchange));
            }
            // Without workers it is a server that was taken out, or never came into force.
            if Arc::strong_count(exchange) > 1 {
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
        let exchange = Arc::new(make(name, mqtt, workers)?);
        exchanges.insert(name.to_owned(), Arc::clone(&exchange));
        Ok(exchange)
    }
}

/// Whether the broker keeps its state as the settings say.
fn keeps_as(exchange: &Exchange, mqtt: &Mqtt) -> bool {
    match (exchange.store(), &mqtt.store) {
        (None, None) => true,
        (Some(store), Some(wanted)) => {
            store.promise() == wanted.promise && store.directory() == wanted.directory
        }
        _ => false,
    }
}

fn make(name: &str, mqtt: &Mqtt, workers: usize) -> Result<Exchange, AssembleError> {
    let Some(wanted) = &mqtt.store else {
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

pub(super) fn site(mqtt: &Mqtt, exchange: Arc<Exchange>, tls: TlsMode) -> SiteChain {
    FactoryStack::new(())
        // Turns bytes into packets for the worker's broker core, and back.
        .replace(MqttServerFactory::new(mqtt.settings.clone(), exchange))
        // Makes the TLS handshake, if there is one.
        .push(layer_fn(move |&(): &(), inner| {
            TlsFactory::new(tls.clone(), inner)
        }))
        // Says of any protocol's error that it is one.
        .push(layer_fn(|&(): &(), inner| AnyErrorFactory::new(inner)))
        .check_make_svc::<Accepted>()
        .push_boxed_service::<Accepted>()
        .into_arc_async_factory()
        .into_inner()
}
