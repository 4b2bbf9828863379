//! Services that come and go with what is deployed.

use std::sync::Arc;

use tidegate_gateway::access_log::AccessLog;
use tidegate_gateway::resolve::{ResolverHandle, ResolverSettings, SystemLookup, resolver};
use tidegate_supervisor::{AddError, Context, OrchestratorHandle, Service};
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
