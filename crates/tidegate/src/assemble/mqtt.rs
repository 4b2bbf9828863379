//! The chain of an MQTT site, and where the cores of each broker meet.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use tidegate_mqtt::broker::shard::SHARDS_MAX;
use tidegate_mqtt::server::{Exchange, MqttServerFactory, ServerSettings};
use tidegate_runtime::connections::Accepted;
use tidegate_runtime::tls::{TlsFactory, TlsMode};
use tidegate_runtime::worker::allowed_cores;
use tidegate_service::layer::layer_fn;
use tidegate_service::stack::FactoryStack;

use super::AssembleError;
use super::any_error::AnyErrorFactory;
use super::chain::SiteChain;
use crate::settings::Settings;

/// The meeting places of all brokers, by server name. They outlive every configuration:
/// a worker that is replaced later has to find the cores of the others.
#[derive(Debug, Default)]
pub(super) struct Exchanges(RefCell<BTreeMap<String, Arc<Exchange>>>);

impl Exchanges {
    /// Where the cores of this server meet.
    pub(super) fn of(
        &self,
        name: &str,
        settings: &Settings,
    ) -> Result<Arc<Exchange>, AssembleError> {
        let mut exchanges = self.0.borrow_mut();
        exchanges.retain(|name, _| settings.servers.contains_key(name));
        if let Some(exchange) = exchanges.get(name) {
            return Ok(Arc::clone(exchange));
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
        let exchange = Arc::new(Exchange::new(workers));
        exchanges.insert(name.to_owned(), Arc::clone(&exchange));
        Ok(exchange)
    }
}

pub(super) fn site(settings: &ServerSettings, exchange: Arc<Exchange>, tls: TlsMode) -> SiteChain {
    FactoryStack::new(())
        // Turns bytes into packets for the worker's broker core, and back.
        .replace(MqttServerFactory::new(settings.clone(), exchange))
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
