//! What a server with `protocol = "detect"` says beside its listeners.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use toml::Spanned;
use toml::de::DeValue;

use super::findings::{Finding, Findings, Mention};
use super::found::quoted;
use super::scalars::Zero;
use super::section::Section;
use super::server::{Protocol, Server};
use super::suggest::nearest;

/// The keys of a server that tells protocols apart.
#[derive(Debug, Clone, PartialEq)]
pub struct Detect {
    /// Which server gets whom.
    pub servers: BTreeMap<Spoken, String>,
    /// The longest a client may take to say what it speaks.
    pub timeout: Duration,
    /// From accepting a connection to the end of its TLS handshake.
    pub tls_handshake: Duration,
    /// Open connections of the whole server that were not given on yet or came in here, all
    /// workers together.
    pub connections: usize,
}

/// What a client may speak, as a key of `detect`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Spoken {
    /// `http`: HTTP/1.1 or HTTP/2.
    Http,
    /// `tls`.
    Tls,
    /// `mqtt`.
    Mqtt,
    /// `thrift`.
    Thrift,
    /// `other`: anything else, and clients that wait for the server to speak.
    Other,
}

const SPOKEN: [(&str, Spoken); 5] = [
    ("http", Spoken::Http),
    ("tls", Spoken::Tls),
    ("mqtt", Spoken::Mqtt),
    ("thrift", Spoken::Thrift),
    ("other", Spoken::Other),
];

/// A key of `detect`, and the server it names.
pub(super) type Named = (Spoken, Mention<String>);

impl Detect {
    /// Notes in `named` what is to be [checked](check) when all servers are known.
    pub(super) fn read(section: &mut Section<'_>, named: &mut Vec<Named>) -> Option<Self> {
        let expected = "a table such as { http = \"web\", mqtt = \"broker\" }";
        let servers = section.read("detect", expected, |found| {
            found.section(|section| {
                let mut servers = BTreeMap::new();
                for (key, spoken) in SPOKEN {
                    let expected = "the name of a server";
                    let name = section.read(key, expected, |found| {
                        let name = found.text(expected)?.to_owned();
                        Some(found.mention(name))
                    });
                    if let Some(name) = name.optional()? {
                        servers.insert(spoken, name.value.clone());
                        named.push((spoken, name));
                    }
                }
                section.require_one(
                    &["http", "tls", "mqtt", "thrift", "other"],
                    "at least one of `http`, `tls`, `mqtt`, `thrift` and `other`",
                );
                Some(servers)
            })
        });
        let servers = servers.required();
        let timeouts = section.table("timeouts", |section| {
            let mut read = |key, default| {
                let default = Duration::from_secs(default);
                section.duration(key, Zero::Refused).or(default)
            };
            Some((read("detect", 5), read("tls_handshake", 10)))
        });
        let connections = section.table("limits", |section| {
            let connections = section.integer("connections", 1..=10_000_000_u32);
            Some(connections.or(10_000))
        });
        let (timeout, tls_handshake) = timeouts?;
        Some(Self {
            servers: servers?,
            timeout,
            tls_handshake,
            connections: connections? as usize,
        })
    }
}

/// The servers that others of `servers` lead to, or mean to: they need no listeners of
/// their own. Looked for before any of them is read.
pub(super) fn led_to<'a>(servers: impl Iterator<Item = &'a DeValue<'a>>) -> BTreeSet<&'a str> {
    let mut names = BTreeSet::new();
    for server in servers {
        let DeValue::Table(server) = server else {
            continue;
        };
        if let Some(DeValue::Table(detect)) = server.get("detect").map(Spanned::get_ref) {
            names.extend(detect.values().filter_map(|it| it.get_ref().as_str()));
        }
        if let Some(DeValue::Array(routes)) = server.get("routes").map(Spanned::get_ref) {
            let routes = routes.iter().filter_map(|route| match route.get_ref() {
                DeValue::Table(route) => route.get("broker"),
                _ => None,
            });
            names.extend(routes.filter_map(|it| it.get_ref().as_str()));
        }
    }
    names
}

/// Reports servers that are not there, or do not speak what they are given.
pub(super) fn check(findings: &Findings, named: Vec<Named>, servers: &BTreeMap<String, Server>) {
    for (spoken, name) in named {
        let finding = |message| Finding::new(name.span.clone(), name.key.clone(), message);
        let Some(server) = servers.get(&name.value) else {
            let message = format!("the server {} is not defined", quoted(&name.value));
            let near = nearest(&name.value, servers.keys().map(String::as_str));
            findings.push(match near {
                Some(near) => finding(message)
                    .expected(format!("{near:?}"))
                    .help(format!("did you mean {near:?}?")),
                None => finding(message).expected(format!("a table [servers.{}]", name.value)),
            });
            continue;
        };
        if let Some(expected) = misfit(spoken, server) {
            let message = format!("the server {} cannot serve that", quoted(&name.value));
            findings.push(finding(message).expected(expected));
        }
    }
}

/// What server would be right, if `server` is not.
fn misfit(spoken: Spoken, server: &Server) -> Option<&'static str> {
    let is_plain = server.tls.is_none();
    let (fits, expected) = match (spoken, &server.protocol) {
        (Spoken::Http, protocol) => (
            is_plain && matches!(protocol, Protocol::Http | Protocol::Tcp(_)),
            "a server with `protocol = \"http\"` or \"tcp\", and no `tls`",
        ),
        (Spoken::Mqtt, protocol) => (
            is_plain && matches!(protocol, Protocol::Mqtt(_) | Protocol::Tcp(_)),
            "a server with `protocol = \"mqtt\"` or \"tcp\", and no `tls`",
        ),
        (Spoken::Thrift, protocol) => (
            is_plain && matches!(protocol, Protocol::Thrift(_) | Protocol::Tcp(_)),
            "a server with `protocol = \"thrift\"` or \"tcp\", and no `tls`",
        ),
        (Spoken::Tls, protocol) => (
            !matches!(protocol, Protocol::Detect(_))
                && (!is_plain || matches!(protocol, Protocol::Tcp(_))),
            "a server with `tls`, or one with `protocol = \"tcp\"`",
        ),
        (Spoken::Other, protocol) => (
            is_plain && matches!(protocol, Protocol::Tcp(_)),
            "a server with `protocol = \"tcp\"` and no `tls`",
        ),
    };
    (!fits).then_some(expected)
}

#[cfg(test)]
mod tests;
