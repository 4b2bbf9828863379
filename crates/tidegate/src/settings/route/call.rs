//! `thrift = { ... }`: requests are calls of a Thrift service, in JSON.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use http::StatusCode;
use tidegate_gateway::route::PathPattern;
use tidegate_gateway::site::MethodName;
use tidegate_gateway::thrift::{ServicePrefix, Spelling};
use tidegate_gateway::upstream::Retrying;
use tidegate_thrift::codec::{
    IDL_FILE_BYTES_MAX, Idl, Limits, LongIntegers, Protocol, Schema, Transport,
};
use toml::de::DeValue;

use crate::settings::findings::{Finding, Mention, Span};
use crate::settings::found::{Found, all, quoted};
use crate::settings::outline::Shape;
use crate::settings::references::References;
use crate::settings::scalars::Zero;
use crate::settings::section::Section;
use crate::settings::suggest::nearest;

/// A Thrift service behind a route.
#[derive(Debug, Clone, PartialEq)]
pub struct ThriftCall {
    /// The upstream's name.
    pub upstream: String,
    /// The service's name.
    pub service: String,
    /// What the IDL says of it.
    pub schema: Arc<Schema>,
    /// Which method a request calls.
    pub method: MethodName,
    /// The methods that may be called with `GET` too.
    pub gets: BTreeSet<Box<str>>,
    /// How the upstream is spoken to.
    pub spelling: Spelling,
    /// When a call is made again.
    pub retrying: Retrying,
    /// What an `i64` is in JSON.
    pub long_integers: LongIntegers,
    /// Size limits of messages, and of JSON.
    pub limits: Limits,
    /// The statuses of exceptions, by name.
    pub exceptions: BTreeMap<Box<str>, StatusCode>,
}

/// Deeper than this, reading JSON itself gives up.
const DEPTH_MAX: u32 = 100;

const IDL: &str = "the path of a Thrift IDL file";
const METHODS: &str = "names of methods, as [\"get\", \"list\"]";
const IDEMPOTENT: &str = "Whether calls may be made again though they may have been carried out.";
const EXCEPTIONS: &str = "names of exceptions and their statuses, as { NotFound = 404 }";

impl ThriftCall {
    pub(super) fn read(
        section: &mut Section<'_>,
        path: Option<&PathPattern>,
        references: &References,
    ) -> Option<Self> {
        section.about("Requests are calls of a Thrift service, in JSON.");
        let expected = "the name of an upstream";
        let upstream = section.read("upstream", expected, |found| {
            let name = found.text(expected)?.to_owned();
            references.upstream(found.mention(name.clone()));
            Some(name)
        });
        let upstream = upstream.about("The upstream that is called.").required();
        let idl = section.read("idl", IDL, |found| {
            let idl = read_idl(found)?;
            Some(found.mention(idl))
        });
        let idl = idl.about("What declares the service.").required();
        let expected = "the name of a service in the IDL";
        let service = section.read("service", expected, |found| {
            let name = found.text(expected)?;
            compile(found, idl.as_ref()?, name).map(|schema| (name.to_owned(), Arc::new(schema)))
        });
        let service = service.about("The service that is called.").required();
        let schema = service.as_ref().map(|(_, schema)| &**schema);
        let method = read_method(section, path, schema);
        let gets = section.read("get", METHODS, |found| read_gets(found, schema));
        let gets = gets.about("Methods that may be called with GET, their arguments in the query.");
        let gets = gets.or(BTreeSet::new());
        let exceptions = section.read("exceptions", EXCEPTIONS, |found| {
            read_exceptions(found, schema)
        });
        let exceptions = exceptions.about("The statuses of exceptions; 422 for others.");
        let exceptions = exceptions.or(BTreeMap::new());
        let spelling = read_spelling(section);
        let idempotent = section.boolean("idempotent").about(IDEMPOTENT);
        let retrying = match idempotent.or(false) {
            true => Retrying::Unanswered,
            false => Retrying::Unsent,
        };
        let integers = [
            ("number", LongIntegers::Number),
            ("string", LongIntegers::Text),
        ];
        let long_integers = section
            .choice("i64", &integers)
            .about("What an `i64` is in JSON.");
        let long_integers = long_integers.or(LongIntegers::Number);
        let limits = Limits {
            message_bytes: section
                .memory("message_bytes", Zero::Refused)
                .about("A call or its answer, in Thrift or in JSON.")
                .or(Limits::default().message_bytes),
            depth: section
                .integer("depth", 1..=DEPTH_MAX)
                .about("Structures within structures.")
                .or(64) as usize,
            ..Limits::default()
        };
        let (service, schema) = service?;
        Some(Self {
            upstream: upstream?,
            service,
            schema,
            method: method?,
            gets,
            spelling,
            retrying,
            long_integers,
            limits,
            exceptions,
        })
    }
}

fn read_spelling(section: &mut Section<'_>) -> Spelling {
    let transports = [
        ("unframed", Transport::Unframed),
        ("framed", Transport::Framed),
        ("ttheader", Transport::TtHeader),
        ("ttheader_framed", Transport::TtHeaderFramed),
    ];
    let transport = section.choice("transport", &transports);
    let transport = transport.about("The transport of the calls.");
    let transport = transport.or(Transport::Framed);
    let protocols = [
        ("binary", Protocol::Binary),
        ("binary_old", Protocol::BinaryOld),
        ("compact", Protocol::Compact),
    ];
    let protocol = section.choice("protocol", &protocols);
    let protocol = protocol.about("The protocol of the calls.");
    let protocol = protocol.or(Protocol::Binary);
    let multiplexed = section.boolean("multiplexed");
    let multiplexed = multiplexed.about("Whether methods are called as `Service:method`.");
    Spelling {
        transport: Some(transport),
        protocol: Some(protocol),
        service: match multiplexed.or(false) {
            true => ServicePrefix::Keep,
            false => ServicePrefix::Remove,
        },
    }
}

/// The method's name is fixed, or in the path: its parameter `method`, or its rest.
fn read_method(
    section: &mut Section<'_>,
    path: Option<&PathPattern>,
    schema: Option<&Schema>,
) -> Option<MethodName> {
    let expected = "the name of a method of the service";
    let method = section.read("method", expected, |found| {
        known_method(found, found.text(expected)?, schema)
    });
    let method = method.about("The one method that is called; else the path names it.");
    if let Some(name) = method.optional()? {
        return Some(MethodName::Always(name));
    }
    let path = path?;
    if path.params().any(|param| param == "method") {
        return Some(MethodName::Param("method".into()));
    }
    let rest = path.rest_name();
    if rest.is_none() {
        let message = "which method is called is not said";
        let finding = Finding::new(section.span(), section.path().child("method"), message);
        let findings = section.findings();
        findings.push(finding.expected(
            "`method`, or `{method}` in the route's path, or a `prefix` that it follows",
        ));
    }
    rest.map(|rest| MethodName::Param(rest.into()))
}

/// A name that is in the schema, if that is known.
fn known_method(found: &Found<'_>, name: &str, schema: Option<&Schema>) -> Option<Box<str>> {
    let schema = schema?;
    if schema.method(name).is_some() {
        return Some(name.into());
    }
    let known = schema.methods().map(|method| &**method.name());
    refuse_name(found, "method", name, known.collect())
}

fn refuse_name<T>(found: &Found<'_>, what: &str, name: &str, known: Vec<&str>) -> Option<T> {
    refuse_name_at(found.span(), found, (what, name), known)
}

fn refuse_name_at<T>(
    span: Span,
    found: &Found<'_>,
    (what, name): (&str, &str),
    known: Vec<&str>,
) -> Option<T> {
    let message = format!("the IDL has no {what} {}", quoted(name));
    let finding = Finding::new(span, found.path().clone(), message);
    let finding = match nearest(name, known.iter().copied()) {
        Some(near) => finding
            .expected(format!("{near:?}"))
            .help(format!("did you mean {near:?}?")),
        None => finding.expected(format!("the name of a {what}")),
    };
    found.findings().push(finding);
    None
}

fn read_gets(found: &Found<'_>, schema: Option<&Schema>) -> Option<BTreeSet<Box<str>>> {
    let items = found.items(METHODS)?;
    let names = all(items.iter().map(|item| {
        let name = known_method(item, item.text("the name of a method")?, schema)?;
        let method = schema?.method(&name)?;
        if method.is_one_way() || !schema?.takes_texts(method) {
            return item.refuse(
                format!("the method {} cannot be called with a query", quoted(&name)),
                "one with a result, of whose arguments none is a struct or a container",
            );
        }
        Some(name)
    }));
    names.map(|names| names.into_iter().collect())
}

fn read_exceptions(
    found: &Found<'_>,
    schema: Option<&Schema>,
) -> Option<BTreeMap<Box<str>, StatusCode>> {
    let entries = found.entries(EXCEPTIONS)?;
    let entries = all(entries.into_iter().map(|(name, span, found)| {
        if found.is_outlined(Shape::Integer {
            low: 400,
            high: 599,
        }) {
            return None;
        }
        let schema = schema?;
        if !schema.exceptions().any(|known| known == name) {
            let known = schema.exceptions().collect();
            return refuse_name_at(span, &found, ("exception", name), known);
        }
        let status = match found.value() {
            Some(DeValue::Integer(status)) => status.as_str().parse().ok(),
            _ => None,
        };
        let status = status.filter(|status| (400..=599_u16).contains(status));
        match status.and_then(|status| StatusCode::from_u16(status).ok()) {
            Some(status) => Some((name.into(), status)),
            None => found.refuse("it is not the status of an error", "one from 400 to 599"),
        }
    }));
    entries.map(|entries| entries.into_iter().collect())
}

/// Reads the file and those it includes, all of them below its directory.
fn read_idl(found: &Found<'_>) -> Option<Idl> {
    let path = found.findings().resolve(found.text(IDL)?);
    let directory = path.parent().unwrap_or_else(|| Path::new("")).to_owned();
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
        return found.refuse(format!("{} is no file", path.display()), IDL);
    };
    let loaded = Idl::load(name, &mut |name| read_text(found, directory.join(name)));
    match loaded {
        Ok(idl) => Some(idl),
        Err(error) => found.refuse(error.to_string(), "an IDL without mistakes"),
    }
}

/// Has the file watched, too.
fn read_text(found: &Found<'_>, path: PathBuf) -> Result<String, String> {
    let mut bytes = Vec::new();
    let read = File::open(&path).and_then(|file| {
        file.take(IDL_FILE_BYTES_MAX as u64 + 1)
            .read_to_end(&mut bytes)
    });
    found
        .findings()
        .note_read(path.clone(), read.is_ok().then_some(&bytes));
    read.map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    String::from_utf8(bytes).map_err(|_| format!("{} is not UTF-8 text", path.display()))
}

/// The schema of a service. A mistake in the IDL is one of the file that names it.
fn compile(found: &Found<'_>, idl: &Mention<Idl>, service: &str) -> Option<Schema> {
    if !idl.value.services().any(|known| known == service) {
        return refuse_name(found, "service", service, idl.value.services().collect());
    }
    match idl.value.compile(service) {
        Ok(schema) => Some(schema),
        Err(error) => {
            let finding = Finding::new(idl.span.clone(), idl.key.clone(), error.to_string());
            let findings = found.findings();
            findings.push(finding.expected("an IDL without mistakes"));
            None
        }
    }
}
