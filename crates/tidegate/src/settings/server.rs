//! `[servers.NAME]`: one site, with its listeners, limits and routes.

use super::address::{LISTEN, parse_listen};
use super::detect::{self, Detect};
use super::findings::Finding;
use super::found::{Found, all, quoted};
use super::limits::{Limits, Timeouts};
use super::mqtt::Mqtt;
use super::networks::networks;
use super::proxy_protocol;
use super::references::References;
use super::route::Route;
use super::scalars::{Zero, parsed};
use super::section::Section;
use super::suggest::nearest;
use super::tcp::Tcp;
use super::thrift::Thrift;
use super::tls::Tls;
use super::{Place, site_name};
use std::time::Duration;
use tidegate_gateway::forward::IpNetwork;
use tidegate_runtime::listener::ListenAddr;
use tidegate_runtime::proxy_protocol::ProxyProtocolMode;
use toml::de::DeValue;

/// One site.
#[derive(Debug, Clone, PartialEq)]
pub struct Server {
    /// Its name in the settings, in logs and in metrics.
    pub name: String,
    /// Where it is defined.
    pub place: Place,
    /// What it speaks.
    pub protocol: Protocol,
    /// Where it listens; at least one, unless others lead to it.
    pub listen: Vec<Listen>,
    /// How many connections the kernel may hold that were not accepted yet.
    pub backlog: u32,
    /// Whether small writes leave at once (`TCP_NODELAY`).
    pub nodelay: bool,
    /// How long connections of an old generation may take to leave.
    pub drain: Duration,
    /// Whether its requests, calls or connections are in the access log, if there is one.
    pub access_log: bool,
    /// Whether HTTP/2 is spoken, by ALPN and by prior knowledge.
    pub http2: bool,
    /// Whether its connections begin by saying whose they are.
    pub proxy_protocol: ProxyProtocolMode,
    /// TLS on every listener, if present.
    pub tls: Option<Tls>,
    /// How long things may take.
    pub timeouts: Timeouts,
    /// How much there may be of things.
    pub limits: Limits,
    /// Which headers about the client are believed and sent on.
    pub forwarded: Forwarded,
    /// What happens to which request, in the order of the file.
    pub routes: Vec<Route>,
}

/// What a server speaks.
#[derive(Debug, Clone, PartialEq)]
pub enum Protocol {
    /// HTTP/1.1 and HTTP/2.
    Http,
    /// MQTT 5.0 and 3.1.1. What the server says about requests is as by default.
    Mqtt(Box<Mqtt>),
    /// Whatever goes over TCP: it is passed on.
    Tcp(Box<Tcp>),
    /// One of several protocols, told by the first bytes: other servers speak them.
    Detect(Box<Detect>),
    /// Thrift, in every common transport and protocol.
    Thrift(Box<Thrift>),
}

/// The word for a protocol in the file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ProtocolWord {
    Http,
    Mqtt,
    Tcp,
    Detect,
    Thrift,
}

/// How a server comes by its connections.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// By listeners of its own, which it must have.
    ByItsOwn,
    /// Others give it theirs, or a part of them.
    ThroughOthers,
}

/// One listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen {
    /// The address.
    pub address: ListenAddr,
    /// Where it is written, for the error when it cannot be bound.
    pub place: Place,
}

/// `forwarded`: what upstreams are told about the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forwarded {
    /// Peers whose `X-Forwarded-*` is kept and appended to; that of others is replaced.
    pub trust: Vec<IpNetwork>,
    /// Whether `X-Forwarded-For`, `-Proto` and `-Host` are sent at all.
    pub x_forwarded: bool,
    /// The name in `Via` (RFC 9110 section 7.6.3).
    pub via: String,
}

/// The most `listen` addresses of a server.
const LISTEN_MAX: usize = 64;

pub(super) fn read_servers(
    found: &Found<'_>,
    references: &References,
) -> Option<std::collections::BTreeMap<String, Server>> {
    let entries = found.entries("tables such as [servers.web]")?;
    if entries.is_empty() {
        return found.refuse("there is no server", "a table such as [servers.web]");
    }
    let defined: Vec<&str> = entries
        .iter()
        .filter(|(_, _, found)| has_own_keys(found))
        .map(|(name, _, _)| *name)
        .collect();
    let led_to = detect::led_to(entries.iter().map(|(_, _, found)| found.value()));
    let mut named = Vec::new();
    let servers = all(entries.into_iter().map(|(name, span, found)| {
        if let Some(near) = meant(name, &found, &defined) {
            let message = format!("the server `{name}` has neither `protocol` nor `listen`");
            let finding = Finding::new(span, found.path().clone(), message);
            let finding = finding.expected(format!("`{near}`"));
            found
                .findings()
                .push(finding.help(format!("did you mean `{near}`?")));
            return None;
        }
        let place = found.findings().place(found.span().start);
        let reach = match led_to.contains(name) {
            true => Reach::ThroughOthers,
            false => Reach::ByItsOwn,
        };
        let name = site_name(&found, name, span);
        let server =
            found.section(|section| Server::read(section, place, reach, references, &mut named));
        let (name, mut server) = (name?, server?);
        server.name.clone_from(&name);
        Some((name, server))
    }))?;
    let servers = servers.into_iter().collect();
    detect::check(found.findings(), named, &servers);
    Some(servers)
}

fn has_own_keys(found: &Found<'_>) -> bool {
    match found.value() {
        DeValue::Table(table) => table.contains_key("protocol") || table.contains_key("listen"),
        _ => true,
    }
}

/// The server that was meant where only a mistyped name makes another one:
/// `[[servers.wbe.routes]]`.
fn meant<'n>(name: &str, found: &Found<'_>, defined: &[&'n str]) -> Option<&'n str> {
    let lost = |key| found.findings().may_be_lost(found.path(), key);
    if has_own_keys(found) || lost("protocol") || lost("listen") {
        return None;
    }
    nearest(name, defined.iter().copied())
}

impl Server {
    fn read(
        section: &mut Section<'_>,
        place: Place,
        reach: Reach,
        references: &References,
        named: &mut Vec<detect::Named>,
    ) -> Option<Self> {
        let words = [
            ("http", ProtocolWord::Http),
            ("mqtt", ProtocolWord::Mqtt),
            ("tcp", ProtocolWord::Tcp),
            ("detect", ProtocolWord::Detect),
            ("thrift", ProtocolWord::Thrift),
        ];
        let protocol = section.choice("protocol", &words).required();
        let expected = "an address such as \"0.0.0.0:8080\", or the server's name in `detect` of \
                        another server";
        let listen = section.read("listen", expected, |found| read_listen(found, references));
        let listen = match reach {
            Reach::ByItsOwn => listen.required(),
            Reach::ThroughOthers => listen.optional().map(Option::unwrap_or_default),
        };
        let is_reached = listen.is_some();
        let backlog = section.integer("backlog", 1..=65_535_u32).or(1024);
        let nodelay = section.boolean("nodelay").or(true);
        let drain = section
            .duration("drain", Zero::Allowed)
            .or(Duration::from_secs(30));
        let listen = listen.unwrap_or_default();
        let proxy_protocol = proxy_protocol::read(section, &listen);
        let tls = section.optional_table("tls", Tls::read);
        let common = Self {
            name: String::new(),
            place,
            protocol: Protocol::Http,
            listen,
            backlog,
            nodelay,
            drain,
            access_log: false,
            http2: false,
            proxy_protocol: proxy_protocol.clone().unwrap_or_default(),
            tls: tls.clone().flatten(),
            timeouts: Timeouts::default(),
            limits: Limits::default(),
            forwarded: Forwarded::default(),
            routes: Vec::new(),
        };
        let is_whole = is_reached && proxy_protocol.is_some() && tls.is_some();
        let server = match protocol {
            Some(ProtocolWord::Mqtt) => common.with_mqtt(section),
            Some(ProtocolWord::Tcp) => common.with_tcp(section, references),
            Some(ProtocolWord::Detect) => common.with_detect(section, named),
            Some(ProtocolWord::Thrift) => common.with_thrift(section, references),
            _ => common.with_http(section, references),
        };
        server.filter(|_| is_whole && protocol.is_some())
    }

    fn with_mqtt(self, section: &mut Section<'_>) -> Option<Self> {
        let mqtt = Mqtt::read(section)?;
        if mqtt.proofs.certificate.is_some()
            && self.tls.as_ref().is_none_or(|tls| tls.client_ca.is_none())
            && let Some(span) = section.key_span("identity")
        {
            let message = "no client is asked for a certificate";
            let finding = Finding::new(span, section.path().child("identity"), message);
            section
                .findings()
                .push(finding.expected("`client_ca` in `tls`"));
            return None;
        }
        Some(Self {
            timeouts: Timeouts {
                tls_handshake: mqtt.tls_handshake,
                ..self.timeouts
            },
            limits: Limits {
                connections: mqtt.connections,
                ..self.limits
            },
            protocol: Protocol::Mqtt(Box::new(mqtt)),
            ..self
        })
    }

    fn with_tcp(self, section: &mut Section<'_>, references: &References) -> Option<Self> {
        let tcp = Tcp::read(section, references)?;
        Some(Self {
            access_log: tcp.access_log,
            timeouts: Timeouts {
                tls_handshake: tcp.tls_handshake,
                ..self.timeouts
            },
            limits: Limits {
                connections: tcp.connections,
                ..self.limits
            },
            protocol: Protocol::Tcp(Box::new(tcp)),
            ..self
        })
    }

    fn with_detect(
        self,
        section: &mut Section<'_>,
        named: &mut Vec<detect::Named>,
    ) -> Option<Self> {
        let detect = Detect::read(section, named)?;
        Some(Self {
            timeouts: Timeouts {
                tls_handshake: detect.tls_handshake,
                ..self.timeouts
            },
            limits: Limits {
                connections: detect.connections,
                ..self.limits
            },
            protocol: Protocol::Detect(Box::new(detect)),
            ..self
        })
    }

    fn with_thrift(self, section: &mut Section<'_>, references: &References) -> Option<Self> {
        let thrift = Thrift::read(section, references)?;
        Some(Self {
            access_log: thrift.access_log,
            timeouts: Timeouts {
                tls_handshake: thrift.tls_handshake,
                ..self.timeouts
            },
            limits: Limits {
                connections: thrift.connections,
                ..self.limits
            },
            protocol: Protocol::Thrift(Box::new(thrift)),
            ..self
        })
    }

    fn with_http(self, section: &mut Section<'_>, references: &References) -> Option<Self> {
        let access_log = section.boolean("access_log").or(true);
        let http2 = section.boolean("http2").or(true);
        let timeouts = section.table("timeouts", Timeouts::read);
        let limits = section.table("limits", Limits::read);
        let forwarded = section.table("forwarded", Forwarded::read);
        let shared = (
            timeouts.clone().unwrap_or_default(),
            limits.clone().unwrap_or_default(),
        );
        let routes = section
            .read("routes", "an array of tables: [[...routes]]", |found| {
                super::route::read_routes(found, &shared.0, &shared.1, references)
            })
            .or(Vec::new());
        Some(Self {
            access_log,
            http2,
            timeouts: timeouts?,
            limits: limits?,
            forwarded: forwarded?,
            routes,
            ..self
        })
    }
}

impl Default for Forwarded {
    fn default() -> Self {
        Self {
            trust: Vec::new(),
            x_forwarded: true,
            via: "tidegate".to_owned(),
        }
    }
}

pub(super) fn read_listen(found: &Found<'_>, references: &References) -> Option<Vec<Listen>> {
    let one = |found: &Found<'_>| {
        let resolve = |path: &str| found.findings().resolve(path);
        let address = parsed(found, LISTEN, |text| parse_listen(text, &resolve))?;
        references.listen(found.mention(address.clone()));
        Some(Listen {
            address,
            place: found.findings().place(found.span().start),
        })
    };
    if let DeValue::String(_) = found.value() {
        return Some(vec![one(found)?]);
    }
    let items = found.items(LISTEN)?;
    match items.len() {
        0 => found.refuse("there is no address", LISTEN),
        1..=LISTEN_MAX => all(items.iter().map(one)),
        count => found.refuse(
            format!("{count} addresses are too many"),
            format!("at most {LISTEN_MAX} addresses"),
        ),
    }
}

impl Forwarded {
    fn read(section: &mut Section<'_>) -> Option<Self> {
        let trust = networks(section, "trust").or(Vec::new());
        let x_forwarded = section.boolean("x_forwarded").or(true);
        let expected = "a name of letters, digits and any of -._:";
        let via = section.parsed("via", expected, |text| {
            let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:".contains(&byte);
            if text.is_empty() || !text.bytes().all(fits) {
                return Err(format!("{} cannot be a name in Via", quoted(text)));
            }
            Ok(text.to_owned())
        });
        Some(Self {
            trust,
            x_forwarded,
            via: via.or("tidegate".to_owned()),
        })
    }
}
