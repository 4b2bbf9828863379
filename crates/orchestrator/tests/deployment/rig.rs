//! A chain that says who it is, a factory that can be made to fail, and a client.

use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use tidegate_orchestrator::{Applied, Change, RuntimeConfig, SiteStatus, WorkerManager};
use tidegate_runtime::connections::Accepted;
use tidegate_runtime::listener::{ListenAddr, ListenerBuilder, ListenerOptions};
use tidegate_runtime::worker::{WorkerIndex, current};
use tidegate_service::{AsyncMakeService, Service};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufStream};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

/// No condition of these tests takes as long as this unless it never comes.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

pub(crate) const FIRST: WorkerIndex = WorkerIndex(0);
pub(crate) const SECOND: WorkerIndex = WorkerIndex(1);

pub(crate) type Manager = WorkerManager<EchoFactory, ListenerBuilder>;

/// What the factory does instead of making a chain, on one worker.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Mischief {
    Fail,
    Panic,
    Hang,
}

/// Kills the worker it is dropped on, once, after telling so and being told to.
pub(crate) struct Bomb {
    pub(crate) worker: WorkerIndex,
    pub(crate) armed: Arc<AtomicBool>,
    pub(crate) burning: mpsc::SyncSender<()>,
    pub(crate) explode: Arc<Mutex<mpsc::Receiver<()>>>,
}

impl Clone for Bomb {
    fn clone(&self) -> Self {
        Self {
            worker: self.worker,
            armed: Arc::clone(&self.armed),
            burning: self.burning.clone(),
            explode: Arc::clone(&self.explode),
        }
    }
}

impl Drop for Bomb {
    fn drop(&mut self) {
        if current() == Some(self.worker) && self.armed.swap(false, Ordering::SeqCst) {
            self.burning.send(()).unwrap();
            let told = self.explode.lock().unwrap().recv_timeout(DEADLINE);
            panic!("the bomb went off: {told:?}");
        }
    }
}

#[derive(Clone, Default)]
pub(crate) struct EchoFactory {
    pub(crate) name: &'static str,
    pub(crate) mischief: Option<(WorkerIndex, Mischief)>,
    /// Whether the chain ignores that it is asked to leave.
    pub(crate) is_stubborn: bool,
    pub(crate) bomb: Option<Bomb>,
    /// How many chains were begun to be made.
    pub(crate) begun: Arc<AtomicUsize>,
}

pub(crate) fn echo(name: &'static str) -> EchoFactory {
    EchoFactory {
        name,
        ..EchoFactory::default()
    }
}

impl EchoFactory {
    pub(crate) fn with(mut self, worker: WorkerIndex, mischief: Mischief) -> Self {
        self.mischief = Some((worker, mischief));
        self
    }

    pub(crate) fn stubborn(mut self) -> Self {
        self.is_stubborn = true;
        self
    }
}

impl AsyncMakeService for EchoFactory {
    type Service = Echo;
    type Error = io::Error;

    async fn make_via_ref(&self, old: Option<&Echo>) -> io::Result<Echo> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        match &self.mischief {
            Some((worker, mischief)) if current() == Some(*worker) => match mischief {
                Mischief::Fail => return Err(io::Error::other("bad key file")),
                Mischief::Panic => panic!("empty list of upstreams"),
                Mischief::Hang => pending().await,
            },
            _ => {}
        }
        Ok(Echo {
            line: match old {
                Some(old) => format!("{} after {}", self.name, old.name),
                None => self.name.to_owned(),
            },
            name: self.name,
            is_stubborn: self.is_stubborn,
        })
    }
}

/// Says who it is, then gives back what it reads. `panic` makes it panic.
pub(crate) struct Echo {
    name: &'static str,
    line: String,
    is_stubborn: bool,
}

impl Service<Accepted> for Echo {
    type Response = ();
    type Error = io::Error;

    async fn call(&self, accepted: Accepted) -> io::Result<()> {
        let Accepted { mut io, handle, .. } = accepted;
        io.write_all(format!("{}\n", self.line).as_bytes()).await?;
        let mut buffer = [0; 64];
        loop {
            handle.mark_idle();
            let count = tokio::select! {
                count = io.read(&mut buffer) => count?,
                () = handle.draining(), if !self.is_stubborn => return Ok(()),
            };
            handle.mark_busy();
            if count == 0 {
                return Ok(());
            }
            assert!(!buffer.starts_with(b"panic"), "as the client wished");
            io.write_all(&buffer[..count]).await?;
        }
    }
}

pub(crate) struct Client {
    stream: BufStream<TcpStream>,
    /// What the chain said first.
    pub(crate) greeting: String,
}

impl Client {
    pub(crate) async fn try_connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        let mut client = Self {
            stream: BufStream::new(stream),
            greeting: String::new(),
        };
        client.greeting = client.line().await?;
        Ok(client)
    }

    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self::try_connect(address).await.unwrap()
    }

    async fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        timeout(DEADLINE, self.stream.read_line(&mut line)).await??;
        if line.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end().to_owned())
    }

    /// Says something, and reads it back.
    pub(crate) async fn say(&mut self, line: &str) -> io::Result<String> {
        self.stream
            .write_all(format!("{line}\n").as_bytes())
            .await?;
        self.stream.flush().await?;
        self.line().await
    }

    /// Waits for the other side to close, whichever way.
    pub(crate) async fn closed(&mut self) {
        let mut rest = Vec::new();
        let _ = timeout(DEADLINE, self.stream.read_to_end(&mut rest))
            .await
            .expect("the connection is closed in time");
    }
}

/// A manager of two workers.
pub(crate) fn manager() -> Manager {
    manager_with(Duration::from_secs(10))
}

pub(crate) fn manager_with(command_timeout: Duration) -> Manager {
    let mut manager = Manager::new(RuntimeConfig {
        workers: 2,
        pin: false,
        command_timeout,
    });
    assert_eq!(manager.spawn_workers_async().len(), 2);
    manager
}

pub(crate) fn listen(addresses: &[&str]) -> ListenerBuilder {
    listen_with(addresses, ListenerOptions::default())
}

pub(crate) fn listen_with(addresses: &[&str], options: ListenerOptions) -> ListenerBuilder {
    let addresses = addresses.iter().map(|address| address.parse().unwrap());
    ListenerBuilder::new(addresses.collect(), options)
}

pub(crate) fn any_port() -> ListenerBuilder {
    listen(&["127.0.0.1:0"])
}

pub(crate) fn deploy(
    site: &str,
    chain: EchoFactory,
    listeners: ListenerBuilder,
) -> Change<EchoFactory, ListenerBuilder> {
    Change::Deploy {
        site: site.into(),
        chain,
        listeners,
    }
}

pub(crate) fn remove(site: &str) -> Change<EchoFactory, ListenerBuilder> {
    Change::Remove { site: site.into() }
}

/// Applies what must work; everybody answers.
pub(crate) async fn apply(
    manager: &Manager,
    changes: Vec<Change<EchoFactory, ListenerBuilder>>,
) -> Applied {
    let applied = manager.apply(changes).await.unwrap();
    assert_eq!(applied.late, []);
    applied
}

pub(crate) async fn site(manager: &Manager, site: &str) -> SiteStatus {
    let mut status = manager.status().await;
    status.sites.remove(site).unwrap_or_default()
}

pub(crate) async fn addresses(manager: &Manager, name: &str) -> Vec<SocketAddr> {
    let status = site(manager, name).await;
    status
        .addresses
        .iter()
        .filter_map(ListenAddr::tcp)
        .collect()
}

pub(crate) async fn address(manager: &Manager, name: &str) -> SocketAddr {
    addresses(manager, name).await[0]
}

pub(crate) async fn greeting(address: SocketAddr) -> String {
    Client::connect(address).await.greeting
}

pub(crate) async fn is_refused(address: SocketAddr) -> bool {
    TcpStream::connect(address)
        .await
        .is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}

/// Waits until `condition` holds.
pub(crate) async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !condition().await {
            sleep(Duration::from_millis(2)).await;
        }
    };
    assert!(timeout(DEADLINE, waiting).await.is_ok(), "never: {what}");
}

pub(crate) async fn finish(manager: Manager) {
    let report = manager.shutdown(Duration::from_secs(10)).await;
    assert_eq!(report.stuck, []);
}
