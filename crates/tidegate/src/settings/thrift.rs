//! What a server with `protocol = "thrift"` says beside its listeners.

mod route;

use std::time::Duration;

use tidegate_gateway::thrift::{ServicePrefix, Spelling};
use tidegate_gateway::upstream::Retrying;
use tidegate_thrift::codec::{Limits, Protocol, Transport};
use tidegate_thrift::server::{ServerSettings, ServerTimeouts};

pub use self::route::ThriftRoute;
use super::limits::{UPSTREAM_CONNECT, connections, tls_handshake};
use super::references::References;
use super::scalars::Zero;
use super::section::Section;

/// The keys of a server that only Thrift has.
#[derive(Debug, Clone, PartialEq)]
pub struct Thrift {
    /// What clients are granted.
    pub settings: ServerSettings,
    /// What happens to which call, in the order of the file: the first that fits is taken.
    pub routes: Vec<ThriftRoute>,
    /// Whether its calls are in the access log, if there is one.
    pub access_log: bool,
    /// Open connections of the whole server, all workers together.
    pub connections: usize,
    /// From accepting a connection to the end of its TLS handshake.
    pub tls_handshake: Duration,
}

/// Where the calls of a route go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ThriftTarget {
    /// The upstream's name.
    pub upstream: String,
    /// How it is spoken to.
    pub spelling: Spelling,
    /// When a call is made again.
    pub retrying: Retrying,
    /// How long it may take.
    pub timeouts: UpstreamTimeouts,
}

/// The time-outs that a route may set for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UpstreamTimeouts {
    /// Connecting to the upstream, TLS included.
    pub connect: Duration,
    /// From the first byte of the call to the last of its answer.
    pub response: Duration,
}

impl Default for UpstreamTimeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(2),
            response: Duration::from_secs(60),
        }
    }
}

const UPSTREAM: &str = "the name of an upstream";
const ROUTING: [&str; 2] = ["upstream", "routes"];

impl Thrift {
    pub(super) fn read(section: &mut Section<'_>, references: &References) -> Option<Self> {
        let access_log = section.boolean("access_log");
        let access_log =
            access_log.about("Whether its calls are in the access log, if there is one.");
        let access_log = access_log.or(true);
        let timeouts = section.table("timeouts", read_timeouts);
        let limits = section.table("limits", read_limits);
        let defaults = timeouts.clone().map(|read| read.2).unwrap_or_default();
        section.require_one(&ROUTING, "one of `upstream` and `routes`");
        section.at_most_one(&ROUTING, "only one of `upstream` and `routes`");
        let routes = section.depending_on_whether(
            "routes",
            |section| {
                let expected = "an array of tables, each headed [[servers.NAME.routes]]";
                let routes = section.read("routes", expected, |found| {
                    route::read_routes(found, defaults, references)
                });
                routes.about("Where which calls go.").required()
            },
            |section| {
                let target = ThriftTarget::read(section, defaults, references);
                target.map(|target| vec![ThriftRoute::of_every_call(target)])
            },
        );
        let (server_timeouts, tls_handshake, _) = timeouts?;
        let limits = limits?;
        Some(Self {
            settings: ServerSettings {
                timeouts: server_timeouts,
                limits: limits.codec,
                calls_per_connection: limits.calls_per_connection,
            },
            routes: routes?,
            access_log,
            connections: limits.connections,
            tls_handshake,
        })
    }

    /// The names of the upstreams its calls go to.
    pub(super) fn upstreams(&self) -> impl Iterator<Item = &String> {
        self.routes.iter().map(|route| &route.target.upstream)
    }
}

impl ThriftTarget {
    /// Whether there has to be an `upstream` is for the caller to say.
    fn read(
        section: &mut Section<'_>,
        timeouts: UpstreamTimeouts,
        references: &References,
    ) -> Option<Self> {
        let expected = UPSTREAM;
        let upstream = section.read("upstream", expected, |found| {
            let name = found.text(expected)?.to_owned();
            references.upstream(found.mention(name.clone()));
            Some(name)
        });
        let upstream = upstream.about("The upstream that the calls go to.");
        let upstream = upstream.optional();
        let transports = [
            ("client", None),
            ("unframed", Some(Transport::Unframed)),
            ("framed", Some(Transport::Framed)),
            ("ttheader", Some(Transport::TtHeader)),
            ("ttheader_framed", Some(Transport::TtHeaderFramed)),
        ];
        let transport = section.choice("upstream_transport", &transports);
        let transport =
            transport.about("The transport towards the upstream; `client`: that of the client.");
        let transport = transport.or(None);
        let protocols = [
            ("client", None),
            ("binary", Some(Protocol::Binary)),
            ("binary_old", Some(Protocol::BinaryOld)),
            ("compact", Some(Protocol::Compact)),
        ];
        let protocol = section.choice("upstream_protocol", &protocols);
        let protocol =
            protocol.about("The protocol towards the upstream; `client`: that of the client.");
        let protocol = protocol.or(None);
        let strip = section.boolean("strip_service");
        let strip = strip.about("Whether `Store:get` is sent on as `get`.");
        let service = match strip.or(false) {
            true => ServicePrefix::Remove,
            false => ServicePrefix::Keep,
        };
        let idempotent = section.boolean("idempotent");
        let idempotent = idempotent
            .about("Whether calls may be made again though they may have been carried out.");
        let retrying = match idempotent.or(false) {
            true => Retrying::Unanswered,
            false => Retrying::Unsent,
        };
        Some(Self {
            upstream: upstream??,
            spelling: Spelling {
                transport,
                protocol,
                service,
            },
            retrying,
            timeouts,
        })
    }
}

fn read_timeouts(
    section: &mut Section<'_>,
) -> Option<(ServerTimeouts, Duration, UpstreamTimeouts)> {
    section.about("How long things may take.");
    let default = ServerTimeouts::default();
    let mut read = |key, default, about| {
        let entry = section.duration(key, Zero::Refused).about(about);
        entry.or(default)
    };
    let timeouts = ServerTimeouts {
        message: read(
            "message",
            default.message,
            "From the first byte of a call to its last.",
        ),
        idle: read(
            "idle",
            default.idle,
            "How long a connection may stay without a call.",
        ),
        write: read(
            "write",
            default.write,
            "The longest a client may stall reading.",
        ),
    };
    let tls_handshake = tls_handshake(section);
    let upstream = read_upstream_timeouts(section, UpstreamTimeouts::default());
    Some((timeouts, tls_handshake, upstream))
}

fn read_upstream_timeouts(
    section: &mut Section<'_>,
    default: UpstreamTimeouts,
) -> UpstreamTimeouts {
    let connect = section.duration("upstream_connect", Zero::Refused);
    let connect = connect.about(UPSTREAM_CONNECT).or(default.connect);
    let response = section.duration("upstream_response", Zero::Refused);
    let response = response.about("From the first byte of the call to the last of its answer.");
    UpstreamTimeouts {
        connect,
        response: response.or(default.response),
    }
}

struct ReadLimits {
    codec: Limits,
    calls_per_connection: u64,
    connections: usize,
}

fn read_limits(section: &mut Section<'_>) -> Option<ReadLimits> {
    section.about("How much there may be of things.");
    let default = Limits::default();
    let mut memory = |key, default, about| {
        let entry = section.memory(key, Zero::Refused).about(about);
        entry.or(default)
    };
    let message_bytes = memory(
        "message_bytes",
        default.message_bytes,
        "Bytes of a message.",
    );
    let header_bytes = memory(
        "header_bytes",
        default.header_bytes,
        "Bytes of the headers of a message.",
    );
    let method_bytes = memory(
        "method_bytes",
        default.method_bytes,
        "Bytes of the name of a method.",
    );
    let depth = section.integer("depth", 1..=1000_u32);
    let depth = depth.about("Structures within structures.").or(64) as usize;
    let calls_per_connection = section
        .integer("calls_per_connection", 1..=u64::from(u32::MAX))
        .about("Calls on one connection before it is closed politely.")
        .or(ServerSettings::default().calls_per_connection);
    Some(ReadLimits {
        codec: Limits {
            message_bytes,
            header_bytes,
            method_bytes,
            depth,
        },
        calls_per_connection,
        connections: connections(section),
    })
}
