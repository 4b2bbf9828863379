//! What can only be judged when the whole file is read: names that have to be
//! defined somewhere, addresses that have to be free.

use super::address::overlap;
use super::findings::{Finding, Findings, KeyPath, Mention};
use super::found::quoted;
use super::suggest::nearest;
use super::{Protocol, Server};
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use tidegate_runtime::listener::ListenAddr;

/// What the sections say about each other, gathered while they are read.
#[derive(Debug, Default)]
pub(super) struct References {
    upstreams: RefCell<Vec<Mention<String>>>,
    brokers: RefCell<Vec<Mention<String>>>,
    listens: RefCell<Vec<Mention<ListenAddr>>>,
}

impl References {
    /// A route sends requests to an upstream.
    pub(super) fn upstream(&self, name: Mention<String>) {
        self.upstreams.borrow_mut().push(name);
    }

    /// A route leads into a broker.
    pub(super) fn broker(&self, name: Mention<String>) {
        self.brokers.borrow_mut().push(name);
    }

    /// Reports brokers that are not among `servers`.
    pub(super) fn check_brokers(&self, findings: &Findings, servers: &BTreeMap<String, Server>) {
        let brokers = servers
            .values()
            .filter(|it| matches!(it.protocol, Protocol::Mqtt(_)));
        let brokers: Vec<&str> = brokers.map(|it| it.name.as_str()).collect();
        for name in self.brokers.take() {
            if brokers.contains(&name.value.as_str()) {
                continue;
            }
            let message = match servers.contains_key(&name.value) {
                true => format!("the server {} is no broker", quoted(&name.value)),
                false => format!("the broker {} is not defined", quoted(&name.value)),
            };
            let expected = match brokers.as_slice() {
                [] => "the name of a server with protocol = \"mqtt\"".to_owned(),
                some => format!("one of {}", list(some)),
            };
            let finding = Finding::new(name.span, name.key, message);
            findings.push(finding.expected(expected));
        }
    }

    /// A server listens on an address.
    pub(super) fn listen(&self, address: Mention<ListenAddr>) {
        self.listens.borrow_mut().push(address);
    }

    /// Reports names that are not in `defined`, and addresses that are taken. Names
    /// in `misnamed` are defined, but in a table whose own name is wrong.
    pub(super) fn check(self, findings: &Findings, defined: &[&str], misnamed: &[&str]) {
        for name in self.upstreams.into_inner() {
            let upstreams = KeyPath::default().child("upstreams");
            if defined.contains(&name.value.as_str())
                || misnamed.contains(&name.value.as_str())
                || findings.may_be_lost(&upstreams, &name.value)
            {
                continue;
            }
            let message = format!("the upstream {} is not defined", quoted(&name.value));
            let finding = Finding::new(name.span, name.key, message);
            findings.push(match nearest(&name.value, defined.iter().copied()) {
                Some(near) => finding
                    .expected(format!("{near:?}"))
                    .help(format!("did you mean {near:?}?")),
                None => finding.expected(match defined {
                    [] => format!("a table [upstreams.{}]", name.value),
                    [only] => format!("{only:?}, the only one"),
                    _ => format!("one of {}", list(defined)),
                }),
            });
        }
        check_listens(findings, &self.listens.into_inner());
    }
}

/// More names than this would not be read anyway.
const LISTED_MAX: usize = 10;

fn list(names: &[&str]) -> String {
    let mut listed: Vec<String> = names
        .iter()
        .take(LISTED_MAX)
        .map(|name| format!("{name:?}"))
        .collect();
    if names.len() > LISTED_MAX {
        listed.push("...".to_owned());
    }
    listed.join(", ")
}

fn check_listens(findings: &Findings, listens: &[Mention<ListenAddr>]) {
    // By port, so that many addresses are not all compared with each other.
    let mut taken: HashMap<Option<u16>, Vec<&Mention<ListenAddr>>> = HashMap::new();
    for listen in listens {
        let port = match &listen.value {
            ListenAddr::Tcp(address) => Some(address.port()),
            ListenAddr::Unix(_) | ListenAddr::Passed(_) => None,
        };
        let others = taken.entry(port).or_default();
        if let Some(other) = others
            .iter()
            .find(|other| overlap(&other.value, &listen.value))
        {
            let message = match other.value == listen.value {
                true => format!("the address {} is listened on twice", listen.value),
                false => format!("{} and {} overlap", listen.value, other.value),
            };
            let (first, second) = match other.span.start < listen.span.start {
                true => (other, &listen),
                false => (&listen, other),
            };
            findings.push(
                Finding::new(second.span.clone(), second.key.clone(), message)
                    .expected("an address of its own")
                    .related(first.span.clone(), "taken here"),
            );
        }
        others.push(listen);
    }
}
