//! `[[servers.NAME.routes]]` of a Thrift server: which calls, and where they go.

use std::fmt;

use tidegate_gateway::thrift::{CallMatch, HeaderMatch, NameMatch};

use super::super::findings::{Finding, Mention};
use super::super::found::{Found, all};
use super::super::references::References;
use super::super::section::Section;
use super::{ThriftTarget, UPSTREAM, UpstreamTimeouts, read_upstream_timeouts};

/// One route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ThriftRoute {
    /// Its name in the access log, if it has one.
    pub name: Option<String>,
    /// The calls it is for.
    pub calls: CallMatch,
    /// Where they go.
    pub target: ThriftTarget,
}

/// The most routes of a server. A call is held against one after the other.
const ROUTES_MAX: usize = 1000;

/// The most header keys of a route.
const HEADERS_MAX: usize = 16;

const SERVICE: &str = "the name of a service, as \"Store\"";
const METHOD: &str = "the name of a method, as \"get\"";
const HEADERS: &str = "keys and values, as { region = \"north\", 6 = \"Store\" }";

impl ThriftRoute {
    pub(super) fn of_every_call(target: ThriftTarget) -> Self {
        Self {
            name: None,
            calls: CallMatch::default(),
            target,
        }
    }
}

pub(super) fn read_routes(
    found: &Found<'_>,
    timeouts: UpstreamTimeouts,
    references: &References,
) -> Option<Vec<ThriftRoute>> {
    let items = found.items("an array of tables, each headed [[servers.NAME.routes]]")?;
    if items.is_empty() || items.len() > ROUTES_MAX {
        let message = format!("{} routes are too few or too many", items.len());
        return found.refuse(message, format!("between 1 and {ROUTES_MAX} routes"));
    }
    let mut calls = Vec::new();
    let routes = all(items.iter().map(|item| {
        item.section(|section| {
            let route = read_route(section, timeouts, references)?;
            calls.push(item.mention(route.calls.clone()));
            Some(route)
        })
    }));
    refuse_unreachable(found, &calls);
    routes
}

fn read_route(
    section: &mut Section<'_>,
    timeouts: UpstreamTimeouts,
    references: &References,
) -> Option<ThriftRoute> {
    section.about("Where some of the calls go; the first route that fits is taken.");
    let name = section.string("name");
    let name = name.about("Its name in the access log.").optional();
    let about = "The service they name, as in `Store:get`; absent: any.";
    let service = read_name(section, "service", SERVICE, about);
    let exactly = read_name(section, "method", METHOD, "Their method.");
    let about = "What their method begins with.";
    let prefix = read_name(section, "method_prefix", METHOD, about);
    let names = ["method", "method_prefix"];
    section.at_most_one(&names, "either `method` or `method_prefix`");
    let headers = section
        .read("headers", HEADERS, read_headers)
        .about("The TTHeader headers that they have; a key of digits is the number of one.")
        .or(Vec::new());
    let default = timeouts;
    let timeouts = section.table("timeouts", |section| {
        section.about("The server's time-outs, for this route.");
        Some(read_upstream_timeouts(section, default))
    });
    section.require_one(&["upstream"], UPSTREAM);
    let target = ThriftTarget::read(section, timeouts.unwrap_or(default), references);
    let method = match (exactly?, prefix?) {
        (Some(name), _) => NameMatch::Exactly(name),
        (None, Some(prefix)) => NameMatch::Prefix(prefix),
        (None, None) => NameMatch::Any,
    };
    timeouts?;
    Some(ThriftRoute {
        name: name?,
        calls: CallMatch {
            service: service?,
            method,
            headers,
        },
        target: target?,
    })
}

fn read_name(
    section: &mut Section<'_>,
    key: &'static str,
    expected: &'static str,
    about: &'static str,
) -> Option<Option<Box<str>>> {
    let name = section.parsed(key, expected, |text| {
        let fits = |byte: u8| byte.is_ascii_graphic() && byte != b':';
        if text.is_empty() || !text.bytes().all(fits) {
            return Err("a name has letters and no colon");
        }
        Ok(Box::from(text))
    });
    name.about(about).optional()
}

/// A key of digits is a number; nobody names a header so.
fn read_headers(found: &Found<'_>) -> Option<Vec<HeaderMatch>> {
    let entries = found.entries(HEADERS)?;
    if entries.len() > HEADERS_MAX {
        let message = format!("{} keys are too many", entries.len());
        return found.refuse(message, format!("at most {HEADERS_MAX} keys"));
    }
    all(entries.into_iter().map(|(key, _, found)| {
        let value: Box<str> = found.text("a text")?.into();
        if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_digit()) {
            let key = key.into();
            return Some(HeaderMatch::Named { key, value });
        }
        let Ok(key) = key.parse() else {
            return found.refuse("this number has no header", "a number below 65536");
        };
        Some(HeaderMatch::Numbered { key, value })
    }))
}

/// A route behind one that takes all of its calls would never be taken.
fn refuse_unreachable(found: &Found<'_>, calls: &[Mention<CallMatch>]) {
    for (at, later) in calls.iter().enumerate() {
        let earlier = calls[..at]
            .iter()
            .find(|earlier| covers(&earlier.value, &later.value));
        if let Some(earlier) = earlier {
            let message = "this route is never taken";
            let finding = Finding::new(later.span.clone(), later.key.clone(), message)
                .expected("calls that no route before it takes: the first that fits is taken")
                .related(earlier.span.clone(), "takes all of its calls");
            found.findings().push(finding);
        }
    }
}

fn covers(earlier: &CallMatch, later: &CallMatch) -> bool {
    let service = earlier.service.is_none() || earlier.service == later.service;
    let method = match (&earlier.method, &later.method) {
        (NameMatch::Any, _) => true,
        (NameMatch::Exactly(earlier), NameMatch::Exactly(later)) => earlier == later,
        (NameMatch::Prefix(earlier), NameMatch::Exactly(later) | NameMatch::Prefix(later)) => {
            later.starts_with(&**earlier)
        }
        _ => false,
    };
    let mut headers = earlier.headers.iter();
    service && method && headers.all(|header| later.headers.contains(header))
}

impl fmt::Display for ThriftRoute {
    /// Its name, or else the calls it is for: `Store:get*`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = &self.name {
            return f.write_str(name);
        }
        if let Some(service) = &self.calls.service {
            write!(f, "{service}:")?;
        }
        match &self.calls.method {
            NameMatch::Any => f.write_str("*"),
            NameMatch::Exactly(name) => f.write_str(name),
            NameMatch::Prefix(prefix) => write!(f, "{prefix}*"),
        }
    }
}
