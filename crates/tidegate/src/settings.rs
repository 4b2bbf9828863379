//! The settings: one TOML file, read strictly, every mistake located.
//!
//! [`load`] and [`parse`] either give checked, plain data or a [`Report`] with every
//! mistake of the file, each with file, line, column, key and what was expected.
//! Nothing here opens a socket or reads a certificate; that it exists is checked. IDL files
//! are read: what they declare is a part of the settings. [`plan()`] names the sites that two
//! settings differ in. [`schema()`] and [`reference()`] say what a file may hold, out of the
//! readers themselves.

mod address;
mod admin;
mod command;
mod detect;
mod effective;
mod findings;
mod found;
mod limits;
mod mqtt;
mod networks;
mod outline;
mod plan;
mod process;
mod proxy_protocol;
mod reference;
mod references;
mod report;
mod route;
mod scalars;
mod schema;
mod section;
mod server;
mod store;
mod succession;
mod suggest;
mod syntax;
mod tcp;
#[cfg(test)]
mod tests;
mod thrift;
mod tls;
mod upstream;
mod websocket;

pub use address::EndpointAddress;
pub use admin::{Admin, Drills, Secret, Token};
pub use command::{Command, CommandRestart};
pub use detect::{Detect, Spoken};
pub use effective::Effective;
pub use limits::{Limits, Timeouts};
pub use mqtt::{Hook, Mqtt};
pub use plan::{Plan, plan};
pub use process::{AccessLog, Dns, LogTarget, Runtime};
pub use reference::reference;
pub use report::{Colour, Located, Related, Report};
pub use route::{
    Action, HeaderEdits, Redirect, Respond, Route, RouteLimits, RouteTimeouts, ThriftCall,
};
pub use schema::schema;
pub use server::{Forwarded, Listen, Protocol, Server};
pub use store::Store;
pub(crate) use tcp::every_path;
pub use tcp::{Routing, ServerNameRoute, Tcp};
pub use thrift::{Thrift, ThriftRoute, ThriftTarget, UpstreamTimeouts};
pub use tls::{Certificate, ClientCertificates, Tls, TlsVersion, UpstreamTls, Verify};
pub use upstream::{Endpoint, HostHeader, Pool, Upstream};
pub use websocket::WebSocket;

use crate::watch::Contents;
use findings::{Finding, Findings, Span};
use found::{Found, quoted};
use references::References;
use section::Section;
use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;
use std::path::Path;
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

/// The largest file that is read, in bytes.
pub const FILE_BYTES_MAX: u64 = 16 << 20;

/// The longest name of a server or an upstream, in bytes.
pub const NAME_BYTES_MAX: usize = 64;

/// Everything a file says, checked; what it does not say has its default.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// `[runtime]`
    pub runtime: Runtime,
    /// `[admin]`; off when absent.
    pub admin: Option<Admin>,
    /// `[commands.NAME]`, by name.
    pub commands: BTreeMap<String, Command>,
    /// `[access_log]`; off when absent.
    pub access_log: Option<AccessLog>,
    /// `[dns]`
    pub dns: Dns,
    /// `[servers.NAME]`, by name; at least one.
    pub servers: BTreeMap<String, Server>,
    /// `[upstreams.NAME]`, by name; every upstream that a route names is here.
    pub upstreams: BTreeMap<String, Upstream>,
    /// All of it as one tree, for people.
    pub effective: Effective,
    /// The files that are a part of it, as they were read: IDLs.
    pub read_files: Contents,
}

/// Where in the file something is written, from 1; columns count characters.
///
/// All places are equal: settings that say the same in different lines are the same
/// settings, and nothing is rebuilt because of a new comment.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

impl PartialEq for Place {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Place {}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.line, self.column)
    }
}

/// Reads the settings in the file at `path`. Relative paths in it start at its
/// directory.
///
/// # Errors
///
/// A report with every mistake; with a single one, about the whole file, when the
/// file cannot be read.
pub fn load(path: &Path) -> Result<Settings, Report> {
    let origin = path.display().to_string();
    let bytes = match read_bytes(path) {
        Ok(bytes) => bytes,
        Err(message) => return Err(Report::whole_file(&origin, message)),
    };
    let base = path.parent().unwrap_or_else(|| Path::new(""));
    match std::str::from_utf8(&bytes) {
        Ok(text) => parse(text, &origin, base),
        Err(error) => {
            let lossy = String::from_utf8_lossy(&bytes);
            let at = error.valid_up_to();
            let finding = Finding::new(at..at, findings::KeyPath::default(), "not UTF-8 text");
            let findings = Findings::new(&lossy, base, Vec::new());
            findings.push(finding.expected("text in UTF-8"));
            Err(Report::new(&origin, &lossy, &findings))
        }
    }
}

fn read_bytes(path: &Path) -> Result<Vec<u8>, String> {
    let unreadable = |error: std::io::Error| format!("cannot read the file: {error}");
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    let mut limited = file.take(FILE_BYTES_MAX + 1);
    limited.read_to_end(&mut bytes).map_err(unreadable)?;
    match bytes.len() as u64 > FILE_BYTES_MAX {
        true => Err(format!("the file is larger than {FILE_BYTES_MAX} bytes")),
        false => Ok(bytes),
    }
}

/// Reads the settings in `text`. `origin` names it in errors; relative paths in it
/// start at `base`.
///
/// # Errors
///
/// A report with every mistake in the text.
pub fn parse(text: &str, origin: &str, base: &Path) -> Result<Settings, Report> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let (settings, findings) = read(text, base);
    let report = Report::new(origin, text, &findings);
    match settings {
        Some(settings) if report.errors.is_empty() => Ok(settings),
        _ if report.errors.is_empty() => Err(Report::whole_file(
            origin,
            "the file cannot be understood".to_owned(),
        )),
        _ => Err(report),
    }
}

fn read(text: &str, base: &Path) -> (Option<Settings>, Findings) {
    let repaired = syntax::repair(text);
    let findings = Findings::new(text, base, repaired.lost);
    for finding in repaired.findings {
        findings.push(finding);
    }
    let (document, _) = DeTable::parse_recoverable(&repaired.text);
    let document = document.into_inner();
    let references = References::default();
    let mut settings = Section::root(&findings, &document, |section| {
        Settings::read(section, &references)
    });
    if let Some(settings) = &mut settings {
        settings.effective = Effective::of(&document, findings.defaults());
        settings.read_files = findings.read_files();
    }
    // A mistyped [upstreams] is reported as that, and not by each route again.
    let (defined, misnamed): (Vec<_>, Vec<_>) = document
        .iter()
        .filter(|(key, _)| suggest::nearest(key.get_ref(), ["upstreams"]).is_some())
        .partition(|(key, _)| key.get_ref() == "upstreams");
    references.check(&findings, &names_in(&defined), &names_in(&misnamed));
    (settings, findings)
}

/// The keys of those `entries` that are tables.
fn names_in<'d>(entries: &[(&Spanned<DeString<'_>>, &'d Spanned<DeValue<'_>>)]) -> Vec<&'d str> {
    let tables = entries
        .iter()
        .filter_map(|(_, value)| match value.get_ref() {
            DeValue::Table(table) => Some(table),
            _ => None,
        });
    let keys = tables.flat_map(|table| table.keys());
    keys.map(|key| &**key.get_ref()).collect()
}

impl Settings {
    fn read(section: &mut Section<'_>, references: &References) -> Option<Self> {
        section.about("Everything that a file of settings can say.");
        let runtime = section.table("runtime", Runtime::read);
        let access_log = section.optional_table("access_log", AccessLog::read);
        let dns = section.table("dns", Dns::read);
        let admin = section.optional_table("admin", |section| Admin::read(section, references));
        let expected = "at least one table such as [servers.web]";
        let servers = section
            .read("servers", expected, |found| {
                server::read_servers(found, references)
            })
            .about("The servers by name; at least one.")
            .required();
        if let Some(servers) = &servers {
            references.check_brokers(section.findings(), servers);
        }
        let upstreams = section
            .read("upstreams", "tables", upstream::read_upstreams)
            .about("The places that requests and connections are sent to, by name.")
            .or(BTreeMap::new());
        let commands = section
            .read("commands", "tables", command::read_commands)
            .about("Programs of others by name, started and stopped with the servers.")
            .or(BTreeMap::new());
        Some(Self {
            runtime: runtime?,
            admin: admin?,
            commands,
            access_log: access_log?,
            dns: dns?,
            servers: servers?,
            upstreams,
            effective: Effective::default(),
            read_files: Contents::new(),
        })
    }
}

/// Checks the name of a server or an upstream; it ends up in logs and metrics.
fn site_name(found: &Found<'_>, name: &str, span: Span) -> Option<String> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    if !name.is_empty() && name.len() <= NAME_BYTES_MAX && name.bytes().all(fits) {
        return Some(name.to_owned());
    }
    let message = format!("{} cannot be a name", quoted(name));
    let finding = Finding::new(span, found.path().clone(), message).expected(format!(
        "1 to {NAME_BYTES_MAX} letters, digits, dashes and underscores"
    ));
    found.findings().push(finding);
    None
}
