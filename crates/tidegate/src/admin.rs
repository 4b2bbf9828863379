//! The admin server: health, status and metrics for tools, commands for operators.
//!
//! It runs on the control thread, so that it answers when a worker does not, and it is the
//! last to stop, so that a stop can be watched.

mod answer;
mod brokers;
pub mod metrics;
mod page;
mod query;
mod status;

use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tidegate_http::server::{HttpServer, ServerSettings, ServerTimeouts};
use tidegate_orchestrator::HURRY_GRACE;
use tidegate_runtime::connections::{Accepted, Connections};
use tidegate_runtime::listener::{
    Admission, Admitted, BindError, Incoming, ListenAddr, Listener, ListenerBuilder,
    ListenerOptions, ListenerSet, Pass,
};
use tidegate_runtime::worker::WorkerIndex;
use tidegate_service::{MakeService, Service as _};
use tidegate_supervisor::services::server_service;
use tidegate_supervisor::{
    Backoff, BoxError, Context, OrchestratorHandle, Restart, Service, StopPolicy,
};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use self::answer::Answerer;
use crate::process::control::Control;
use crate::settings::{self, Secret, Token};

/// How many connections operators and their tools may have.
const CONNECTIONS_MAX: usize = 256;
/// How long an answer may take after the stop has begun: a command may be under way.
const DRAIN: Duration = Duration::from_secs(5);

/// What the admin server is made from.
pub struct Admin {
    listening: ListenerSet,
    answerer: Answerer,
    left: CancellationToken,
}

/// Why there is no admin server.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// Its token cannot be read.
    #[error("admin.token_file: cannot read {path}: {source}")]
    Token {
        /// The file.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// It cannot listen.
    #[error("the admin server: {0}")]
    Listen(#[from] BindError),
    /// Its token is no token.
    #[error("admin.token_file: {path} has no token: one line of visible ASCII characters")]
    NoToken {
        /// The file.
        path: String,
    },
}

impl Admin {
    /// As the settings want it; answers by asking `control` and `services`, and nobody any
    /// more who comes after another process was `left` the listeners.
    ///
    /// # Errors
    ///
    /// The token cannot be read, or an address is taken.
    pub fn new(
        wanted: &settings::Admin,
        control: Control,
        services: OrchestratorHandle,
        left: CancellationToken,
    ) -> Result<Self, AdminError> {
        let token = wanted.token.as_ref().map(read_token).transpose()?;
        let listen = wanted.listen.iter();
        Ok(Self {
            listening: listen_at(listen.map(|it| it.address.clone()).collect())?,
            answerer: Answerer::new(control, services, token, wanted.drills),
            left,
        })
    }

    /// As a service, ready when it listens.
    pub fn into_service(self, name: &str) -> Service {
        let Self {
            listening,
            answerer,
            left,
        } = self;
        let answerer = Arc::new(answerer);
        let bind = move || {
            let listeners = listening.for_worker(WorkerIndex(0));
            let admission = listening.admission();
            async move {
                let listeners = listeners.map_err(BoxError::from)?;
                Ok((listeners, admission))
            }
        };
        server_service(name, bind, move |(listeners, admission), context| {
            serve(
                listeners,
                admission,
                Arc::clone(&answerer),
                left.clone(),
                context,
            )
        })
        .restart(Restart::OnFailure(Backoff::default()))
        .stop(StopPolicy {
            drain: DRAIN + HURRY_GRACE,
            ..StopPolicy::default()
        })
    }
}

fn read_token(token: &Token) -> Result<Secret, AdminError> {
    let path = match token {
        Token::Here(secret) => return Ok(secret.clone()),
        Token::File(path) => path,
    };
    let shown = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|source| AdminError::Token {
        path: shown.clone(),
        source,
    })?;
    match text.trim() {
        "" => Err(AdminError::NoToken { path: shown }),
        token if !token.bytes().all(|it| it.is_ascii_graphic()) => {
            Err(AdminError::NoToken { path: shown })
        }
        token => Ok(Secret::new(token)),
    }
}

fn listen_at(addresses: Vec<ListenAddr>) -> Result<ListenerSet, BindError> {
    let options = ListenerOptions {
        connections_max: CONNECTIONS_MAX,
        ..ListenerOptions::default()
    };
    let set = ListenerBuilder::new(addresses, options).make()?;
    set.spread(1)?;
    for address in set.local_addresses() {
        tracing::info!(%address, "the admin server listens");
    }
    Ok(set)
}

/// What its connections share.
struct Shared {
    server: HttpServer<Answerer>,
    connections: Connections,
    admission: Admission,
}

async fn serve(
    listeners: Vec<Listener>,
    admission: Admission,
    answerer: Arc<Answerer>,
    left: CancellationToken,
    context: Context,
) -> Result<(), BoxError> {
    let settings = ServerSettings {
        timeouts: ServerTimeouts::default(),
        ..ServerSettings::default()
    };
    let shared = Rc::new(Shared {
        server: HttpServer::new(settings, Answerer::clone(&answerer)),
        connections: Connections::new(),
        admission,
    });
    let mut accepting = JoinSet::new();
    for listener in listeners {
        accepting.spawn_local(accept(listener, Rc::clone(&shared)));
    }
    tokio::select! {
        () = context.drain().cancelled() => {}
        // Who asks now means the other process.
        () = left.cancelled() => {}
    }
    // Dropped with their listeners.
    accepting.abort_all();
    context.drain().cancelled().await;
    // Whoever idles leaves at once; an answer under way is finished.
    shared.connections.hurry();
    if timeout(DRAIN, shared.connections.idle()).await.is_err() {
        shared.connections.abort_all();
    }
    Ok(())
}

async fn accept(mut listener: Listener, shared: Rc<Shared>) {
    while let Some(incoming) = listener.accept().await {
        match shared.admission.enter() {
            Some(pass) => shared.connect(incoming, pass),
            None => incoming.refuse(),
        }
    }
}

impl Shared {
    fn connect(self: &Rc<Self>, incoming: Incoming, pass: Pass) {
        let peer = incoming.peer();
        let Admitted {
            io,
            peer,
            local,
            permit,
        } = match incoming.admit(&self.admission, pass) {
            Ok(admitted) => admitted,
            Err(error) => {
                tracing::debug!(%peer, %error, "the connection could not be taken up");
                return;
            }
        };
        let shared = Rc::clone(self);
        self.connections.spawn(peer, Some(permit), |handle| {
            let accepted = Accepted {
                io,
                peer,
                local,
                handle,
            };
            async move { shared.server.call(accepted).await }
        });
    }
}
