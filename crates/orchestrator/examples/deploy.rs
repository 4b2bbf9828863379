//! A manager, its workers, and a service deployed for each configured server.
//!
//! `cargo run -p tidegate-orchestrator --example deploy`: it serves an echo on two ports the
//! kernel chooses, talks to both, replaces one of them without closing its port, and shuts down.

use std::collections::BTreeMap;
use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tidegate_orchestrator::{Change, RuntimeConfig, ServiceCommand, SiteName, WorkerManager};
use tidegate_runtime::connections::Accepted;
use tidegate_runtime::listener::ListenerBuilder;
use tidegate_service::{AsyncMakeServiceWrapper, MakeService, Service};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// One server as a configuration file would describe it.
struct ServiceConfig {
    listener: Vec<String>,
    server: ServerConfig,
}

#[derive(Clone)]
struct ServerConfig {
    greeting: String,
}

/// Greets, then gives back what it reads.
struct Echo {
    greeting: String,
    /// How many services this one is the successor of: state that is handed over.
    predecessors: usize,
}

impl Service<Accepted> for Echo {
    type Response = ();
    type Error = io::Error;

    async fn call(&self, accepted: Accepted) -> io::Result<()> {
        let Accepted { mut io, handle, .. } = accepted;
        let greeting = format!("{} (after {})\n", self.greeting, self.predecessors);
        io.write_all(greeting.as_bytes()).await?;
        let mut buffer = [0; 1024];
        loop {
            handle.mark_idle();
            let count = tokio::select! {
                count = io.read(&mut buffer) => count?,
                () = handle.draining() => return Ok(()),
            };
            handle.mark_busy();
            if count == 0 {
                return Ok(());
            }
            io.write_all(&buffer[..count]).await?;
        }
    }
}

#[derive(Clone)]
struct EchoFactory(ServerConfig);

impl MakeService for EchoFactory {
    type Service = Echo;
    type Error = io::Error;

    fn make_via_ref(&self, old: Option<&Echo>) -> io::Result<Echo> {
        Ok(Echo {
            greeting: self.0.greeting.clone(),
            predecessors: old.map_or(0, |old| old.predecessors + 1),
        })
    }
}

fn l4_factory(config: ServerConfig) -> EchoFactory {
    EchoFactory(config)
}

fn servers() -> BTreeMap<String, ServiceConfig> {
    ["hello", "servus"]
        .map(|greeting| {
            let config = ServiceConfig {
                listener: vec!["127.0.0.1:0".to_owned()],
                server: ServerConfig {
                    greeting: greeting.to_owned(),
                },
            };
            (greeting.to_owned(), config)
        })
        .into()
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut manager = WorkerManager::new(RuntimeConfig::default());
    let join_handlers = manager.spawn_workers_async();
    for (name, ServiceConfig { listener, server }) in servers() {
        let lis_fac = ListenerBuilder::try_from(listener).expect("build listener failed");
        let svc_fac = l4_factory(server);
        manager
            .dispatch_service_command(ServiceCommand::PrepareAndCommit(
                Arc::new(name).into(),
                AsyncMakeServiceWrapper(svc_fac),
                AsyncMakeServiceWrapper(Arc::new(lis_fac)),
            ))
            .await
            .err()
            .expect("apply init config failed");
    }
    greet(&manager).await?;

    let site = SiteName::from("hello");
    let greeting = "hello again".to_owned();
    let applied = manager
        .apply(vec![Change::Deploy {
            site,
            chain: AsyncMakeServiceWrapper(l4_factory(ServerConfig { greeting })),
            listeners: AsyncMakeServiceWrapper(Arc::new("127.0.0.1:0".try_into()?)),
        }])
        .await?;
    println!("generation {} is deployed", applied.generation);
    greet(&manager).await?;

    let report = manager.shutdown(Duration::from_secs(5)).await;
    println!("connections dropped: {}", report.connections_dropped);
    for handler in join_handlers {
        println!("worker {} {}", handler.worker(), handler.join().await);
    }
    Ok(())
}

type Manager = WorkerManager<
    AsyncMakeServiceWrapper<EchoFactory>,
    AsyncMakeServiceWrapper<Arc<ListenerBuilder>>,
>;

async fn greet(manager: &Manager) -> Result<(), Box<dyn Error>> {
    for (site, status) in manager.status().await.sites {
        for address in status.addresses.iter().filter_map(|it| it.tcp()) {
            let mut stream = TcpStream::connect(address).await?;
            let mut greeting = [0; 64];
            let count = stream.read(&mut greeting).await?;
            let greeting = String::from_utf8_lossy(&greeting[..count]);
            println!("{site} at {address}: {}", greeting.trim_end());
        }
    }
    Ok(())
}
