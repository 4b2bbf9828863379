//! From settings to what is deployed: the only place where all crates meet.
//!
//! A site's chain, outermost first: TLS, the HTTP server, the access log, the
//! routes. It is built from settings on the control thread as far as workers can
//! share it (certificates, tickets, route tables), erased once, and made on each
//! worker from what that worker serves now.

mod any_error;
mod broker_route;
mod chain;
mod detect;
mod mqtt;
mod mqtt_hook;
mod mqtt_proofs;
mod tcp;
mod thrift;
mod upstreams;

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use thiserror::Error;
use tidegate_gateway::access_log::{AccessLog, CloseError, LogLimits, LogTarget, OpenError};
use tidegate_gateway::health::HealthHandle;
use tidegate_gateway::logged::LogMode;
use tidegate_gateway::meter::{Meters, UNROUTED};
use tidegate_gateway::resolve::ResolverHandle;
use tidegate_gateway::route::RouteConflict;
use tidegate_mqtt::server::operator::Operator;
use tidegate_mqtt::store::StoreError;
use tidegate_orchestrator::{Change, SiteName};
use tidegate_runtime::listener::{ListenerBuilder, ListenerOptions};
use tidegate_runtime::tls::{
    Certificate, ClientCertificates, ServerTls, ServerTlsOptions, SessionTickets, TicketKeys,
    TlsConfigError, TlsMode, TlsVersion,
};

pub(crate) use self::any_error::AnyErrorFactory;
pub use self::any_error::{ConnectionError, MakeError};
pub use self::chain::SiteChain;
use self::mqtt::Exchanges;
use self::mqtt_proofs::ProofMaker;
use crate::settings::{self, Protocol, Server, Settings};
use crate::watch::Content;

/// How long the process may take to write the rest of the access log before it ends.
pub const LOG_CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Why settings that are right in themselves cannot be put to work.
#[derive(Debug, Error)]
pub enum AssembleError {
    /// TLS of a server or an upstream.
    #[error("{section}: {source}")]
    Tls {
        /// The section of the file, as `servers.web`.
        section: String,
        /// What is wrong.
        source: Box<TlsConfigError>,
    },
    /// Routes that cannot stand beside each other.
    #[error("servers.{server}: {conflict}")]
    Route {
        /// The server's name.
        server: String,
        /// The conflict.
        conflict: String,
    },
    /// A broker has a core for each worker, and not so many.
    #[error("servers.{server}: an MQTT broker serves on 64 workers at most, not {workers}")]
    BrokerWorkers {
        /// The server's name.
        server: String,
        /// How many workers there are.
        workers: usize,
    },
    /// What clients of a broker prove themselves with.
    #[error("servers.{server}.{key}: {problem}")]
    Proof {
        /// The server's name.
        server: String,
        /// Which of its keys.
        key: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// What a broker keeps its state in cannot be opened.
    #[error("servers.{server}.data_directory: {source}")]
    BrokerStore {
        /// The server's name.
        server: String,
        /// Why.
        source: Box<StoreError>,
    },
    /// A broker's state stays where it is for as long as the broker runs.
    #[error(
        "servers.{server}: durability and data_directory cannot change while the server runs; \
         take it out, let its clients go, and put it in again, or restart"
    )]
    BrokerStoreChanged {
        /// The server's name.
        server: String,
    },
    /// The access log cannot be written.
    #[error("access_log: {0}")]
    AccessLog(#[from] OpenError),
}

impl AssembleError {
    fn route(server: &Server, conflicts: &[RouteConflict]) -> Self {
        let conflicts: Vec<String> = conflicts.iter().map(ToString::to_string).collect();
        Self::Route {
            server: server.name.clone(),
            conflict: conflicts.join("; "),
        }
    }
}

/// A change for the workers, as this program makes them.
pub type SiteChange = Change<SiteChain, ListenerBuilder>;

/// What the sites of one configuration share.
pub struct Common {
    /// Where they find names.
    pub resolver: ResolverHandle,
    /// Where they ask whether endpoints are healthy.
    pub health: HealthHandle,
    /// Where they note requests.
    pub access_log: Option<Rc<AccessLog>>,
}

/// What outlives every configuration, and is built into each.
#[derive(Default)]
pub struct Assembler {
    /// Made when the first site needs them: gathering their randomness takes a while.
    tickets: OnceCell<TicketKeys>,
    access_log: Option<(settings::AccessLog, Rc<AccessLog>)>,
    meters: Meters,
    exchanges: Exchanges,
    proofs: ProofMaker,
}

impl Assembler {
    /// The change that deploys `server`, one of those in `settings`.
    ///
    /// # Errors
    ///
    /// Files that cannot be used, and routes in conflict. Nothing is changed.
    pub fn deploy(
        &self,
        settings: &Settings,
        server: &Server,
        common: &Common,
    ) -> Result<SiteChange, AssembleError> {
        let tls = self.tls(server)?;
        let brokers = |name: &str| self.exchanges.of(name, settings);
        let upstreams = || upstreams::specs(settings, server, common);
        let meter = self.meters.site(server.name.as_str());
        let chain = match &server.protocol {
            Protocol::Http => {
                let log = log_mode(settings, server, common.access_log.as_ref());
                let upstreams = chain::Upstreams {
                    forwarded: upstreams::forwarded(settings, server, common)?,
                    called: upstreams::called(settings, server, common)?,
                };
                chain::site(server, upstreams, &brokers, tls, log, meter)?
            }
            Protocol::Mqtt(mqtt) => {
                let exchange = self.exchanges.of(&server.name, settings)?;
                let settings = self.proofs.settings(server, mqtt, &common.resolver)?;
                mqtt::site(server, mqtt, settings, exchange, tls)
            }
            Protocol::Tcp(tcp) => {
                let log = log_mode(settings, server, common.access_log.as_ref());
                tcp::site(server, tcp, upstreams()?, tls, log, meter)?
            }
            Protocol::Detect(detect) => detect::site(server, detect, tls),
            Protocol::Thrift(thrift) => {
                let log = log_mode(settings, server, common.access_log.as_ref());
                thrift::site(server, thrift, upstreams()?, tls, log, meter)
            }
        };
        Ok(Change::Deploy {
            site: SiteName::from(server.name.as_str()),
            chain,
            listeners: listeners(server),
        })
    }

    /// The log that `settings` ask for: the one in use if they still ask for it.
    ///
    /// # Errors
    ///
    /// Its file cannot be opened.
    pub fn access_log(&self, settings: &Settings) -> Result<Option<Rc<AccessLog>>, AssembleError> {
        let Some(wanted) = &settings.access_log else {
            return Ok(None);
        };
        if let Some((settings, log)) = &self.access_log
            && settings.file == wanted.file
        {
            return Ok(Some(log.clone()));
        }
        let target = match &wanted.file {
            settings::LogTarget::Stdout => LogTarget::Stdout,
            settings::LogTarget::Stderr => LogTarget::Stderr,
            settings::LogTarget::File(path) => LogTarget::File(path.clone()),
        };
        Ok(Some(Rc::new(AccessLog::open(target)?)))
    }

    /// Keeps the log that was deployed; the one before it is closed when the last
    /// chain that writes to it is gone.
    pub fn keep_access_log(&mut self, settings: &Settings, log: Option<Rc<AccessLog>>) {
        self.access_log = settings.access_log.clone().zip(log);
    }

    /// The access log in use.
    pub fn current_access_log(&self) -> Option<&Rc<AccessLog>> {
        self.access_log.as_ref().map(|(_, log)| log)
    }

    /// Writes the lines of the access log that the workers have handed over. Waits for
    /// a writer that is stuck no longer than [`LOG_CLOSE_TIMEOUT`].
    ///
    /// # Errors
    ///
    /// Lines are lost.
    pub fn close_access_log(&mut self) -> Result<(), CloseError> {
        // Only what is deployed has a share in it, and that has senders.
        let log = self
            .access_log
            .take()
            .and_then(|(_, log)| Rc::into_inner(log));
        match log {
            Some(log) => log.close(LOG_CLOSE_TIMEOUT).map(|_| ()),
            None => Ok(()),
        }
    }

    /// What all requests are counted with.
    pub const fn meters(&self) -> &Meters {
        &self.meters
    }

    /// The ways to the brokers among the servers of `settings`, by name.
    pub fn brokers(&self, settings: &Settings) -> BTreeMap<String, Operator> {
        self.exchanges.operators(settings)
    }

    /// Forgets the figures of what is not in `settings`.
    pub fn forget_figures_of_others(&self, settings: &Settings) {
        let server = |site: &str| settings.servers.get(site);
        self.meters.retain_proxies(|site| {
            server(site).is_some_and(|it| matches!(it.protocol, Protocol::Tcp(_)))
        });
        self.meters.retain_calls(|site| {
            server(site).is_some_and(|it| {
                matches!(it.protocol, Protocol::Thrift(_)) || !it.called_upstreams().is_empty()
            })
        });
        self.meters.retain(
            |site, route| {
                server(site).is_some_and(|server| {
                    let mut routes = server.routes.iter();
                    route == UNROUTED || routes.any(|it| chain::route_name(it) == route)
                })
            },
            |site, upstream| {
                server(site).is_some_and(|server| settings.upstreams_of(server).contains(upstream))
            },
        );
    }

    fn tickets(&self) -> Result<TicketKeys, TlsConfigError> {
        if let Some(keys) = self.tickets.get() {
            return Ok(keys.clone());
        }
        let keys = TicketKeys::generate()?;
        Ok(self.tickets.get_or_init(|| keys).clone())
    }

    fn tls(&self, server: &Server) -> Result<TlsMode, AssembleError> {
        let Some(tls) = &server.tls else {
            return Ok(TlsMode::Plain);
        };
        let located = |source| AssembleError::Tls {
            section: format!("servers.{}.tls", server.name),
            source: Box::new(source),
        };
        let certificates = tls
            .certificates
            .iter()
            .map(|pair| Certificate::load(&pair.chain, &pair.key))
            .collect::<Result<Vec<_>, _>>()
            .map_err(located)?;
        let application_protocols = match server.protocol {
            Protocol::Mqtt(ref mqtt) if mqtt.websocket.is_none() => vec![b"mqtt".to_vec()],
            Protocol::Mqtt(_) => vec![b"http/1.1".to_vec()],
            // Whatever the client and the endpoint agree on is between them.
            Protocol::Tcp(_) | Protocol::Detect(_) | Protocol::Thrift(_) => Vec::new(),
            Protocol::Http if server.http2 => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
            Protocol::Http => vec![b"http/1.1".to_vec()],
        };
        let options = ServerTlsOptions {
            certificates,
            min_version: match tls.min_version {
                settings::TlsVersion::Tls12 => TlsVersion::Tls12,
                settings::TlsVersion::Tls13 => TlsVersion::Tls13,
            },
            application_protocols,
            clients: match (&tls.client_ca, tls.client_certificates) {
                (None, _) => ClientCertificates::NotAsked,
                (Some(ca), settings::ClientCertificates::Optional) => {
                    ClientCertificates::Optional(ca.clone())
                }
                (Some(ca), settings::ClientCertificates::Required) => {
                    ClientCertificates::Required(ca.clone())
                }
            },
            tickets: if tls.session_tickets {
                SessionTickets::On(self.tickets().map_err(located)?)
            } else {
                SessionTickets::Off
            },
        };
        Ok(TlsMode::Tls {
            server: ServerTls::new(options).map_err(located)?,
            handshake_timeout: server.timeouts.tls_handshake,
        })
    }
}

fn log_mode(settings: &Settings, server: &Server, log: Option<&Rc<AccessLog>>) -> LogMode {
    match (log, &settings.access_log) {
        (Some(log), Some(wanted)) if server.access_log => LogMode::On {
            sender: log.sender(),
            limits: LogLimits {
                chunk_bytes: wanted.buffer,
                flush_after: wanted.flush,
            },
        },
        _ => LogMode::Off,
    }
}

fn listeners(server: &Server) -> ListenerBuilder {
    let addresses = server
        .listen
        .iter()
        .map(|listen| listen.address.clone())
        .collect();
    ListenerBuilder::new(
        addresses,
        ListenerOptions {
            backlog: server.backlog,
            nodelay: server.nodelay,
            drain: server.drain,
            connections_max: server.limits.connections,
        },
    )
}

/// The content of the files a site is built from, so that a renewed certificate
/// under the same name is seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files(BTreeMap<PathBuf, Option<Vec<u8>>>);

impl Files {
    /// What tells their content from another.
    pub fn contents(&self) -> impl Iterator<Item = (PathBuf, Option<Content>)> {
        let files = self.0.iter();
        files.map(|(path, bytes)| (path.clone(), bytes.as_deref().map(Content::of)))
    }

    /// Reads the files of `server`. One that cannot be read is remembered as such.
    pub fn of(settings: &Settings, server: &Server) -> Self {
        let pairs = server.tls.iter().flat_map(|tls| &tls.certificates);
        let own = pairs.flat_map(|pair| [&pair.chain, &pair.key]);
        let upstreams = settings.upstreams_of(server);
        let roots = upstreams
            .iter()
            .filter_map(|name| settings.upstreams.get(name)?.tls.as_ref()?.ca.as_ref());
        let proofs = match &server.protocol {
            Protocol::Mqtt(mqtt) => Some(mqtt.proofs.files()),
            _ => None,
        };
        Self(
            own.chain(server.tls.iter().filter_map(|tls| tls.client_ca.as_ref()))
                .chain(roots)
                .chain(proofs.into_iter().flatten())
                .map(|path| (path.clone(), std::fs::read(path).ok()))
                .collect(),
        )
    }
}
