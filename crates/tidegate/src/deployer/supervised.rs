//! Services that come and go with what is deployed.

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tidegate_gateway::access_log::AccessLog;
use tidegate_gateway::resolve::{ResolverHandle, ResolverSettings, SystemLookup, resolver};
use tidegate_mqtt::server::operator::Operator;
use tidegate_supervisor::{AddError, Context, OrchestratorHandle, Service};
use tokio::sync::watch;
use tokio::task::spawn_local;

use crate::settings;

/// A service of the process, for as long as somebody holds this.
struct Tenant {
    services: OrchestratorHandle,
    name: Arc<str>,
}

impl Tenant {
    fn add(services: &OrchestratorHandle, service: Service) -> Result<Self, AddError> {
        let name = Arc::clone(service.name());
        services.add(service)?;
        Ok(Self {
            services: services.clone(),
            name,
        })
    }
}

impl Drop for Tenant {
    fn drop(&mut self) {
        let (services, name) = (self.services.clone(), Arc::clone(&self.name));
        spawn_local(async move {
            // One that stops with the rest is forgotten with the rest.
            let _ = services.remove(&name).await;
        });
    }
}

/// The look-ups with one set of time limits.
pub(super) struct Names {
    pub(super) resolver: ResolverHandle,
    _tenant: Tenant,
}

impl Names {
    /// `number` tells it from those of other limits, which end when nobody needs them.
    pub(super) fn start(
        dns: &settings::Dns,
        services: &OrchestratorHandle,
        number: u32,
    ) -> Result<Self, AddError> {
        let (resolver, run) = resolver(ResolverSettings {
            refresh: dns.refresh,
            timeout: dns.timeout,
            ..ResolverSettings::default()
        });
        let service = Service::once(format!("dns-{number}"), |context| {
            let drain = context.drain().clone();
            run.run(SystemLookup, drain.cancelled_owned())
        });
        let _tenant = Tenant::add(services, service)?;
        Ok(Self { resolver, _tenant })
    }
}

/// The writer of an access log. It is a thread, since it blocks; as a service it is seen, and
/// missed when it ends before it is closed.
pub(super) struct LogWriter {
    _tenant: Tenant,
}

impl LogWriter {
    /// `number` tells it from the writers of other files.
    pub(super) fn watch(
        log: &AccessLog,
        services: &OrchestratorHandle,
        number: u32,
    ) -> Result<Self, AddError> {
        let ended = log.ended();
        let name = format!("access-log-{number}");
        let service = Service::once(name, |context: Context| async move {
            tokio::select! {
                // The deployment closes it, once nobody writes to it any more.
                () = context.drain().cancelled() => Ok(()),
                () = ended => Err("the access log's writer has ended: lines are dropped"),
            }
        });
        let _tenant = Tenant::add(services, service)?;
        Ok(Self { _tenant })
    }
}

/// The ways to brokers, and how often each publishes figures, by server name.
pub(super) type Published = BTreeMap<String, (Operator, Duration)>;

/// What brokers say of themselves as `$SYS/broker/version`.
const SOFTWARE: &str = concat!("tidegate version ", env!("CARGO_PKG_VERSION"));

/// The task that publishes the figures of brokers to their own clients.
pub(super) struct SystemTopics(watch::Sender<Published>);

impl SystemTopics {
    pub(super) fn start(services: &OrchestratorHandle) -> Result<Self, AddError> {
        let (sender, brokers) = watch::channel(Published::new());
        services.add(Service::once("mqtt-system-topics", |context| {
            let drain = context.drain().clone();
            async move {
                drain.run_until_cancelled(publish(brokers)).await;
            }
        }))?;
        Ok(Self(sender))
    }

    /// From now on these brokers publish.
    pub(super) fn set(&self, brokers: Published) {
        self.0.send_replace(brokers);
    }
}

/// Publishes for as long as somebody can say for whom.
async fn publish(mut told: watch::Receiver<Published>) {
    loop {
        let brokers = told.borrow_and_update().clone();
        let all = async {
            let brokers = brokers.values();
            let all = brokers.map(|(broker, every)| broker.publish_system(SOFTWARE, *every));
            join_all(all).await;
            pending::<()>().await;
        };
        tokio::select! {
            () = all => {}
            changed = told.changed() => if changed.is_err() {
                return;
            },
        }
    }
}
