//! Which sites two settings differ in, so that only those are rebuilt.

use super::{EndpointAddress, Server, Settings};
use std::collections::BTreeSet;

/// What has to happen to get from one settings to another. Sites are servers, by
/// name; each is in exactly one of the three sets.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// Sites that are new or changed.
    pub deploy: BTreeSet<String>,
    /// Sites that are gone.
    pub remove: BTreeSet<String>,
    /// Sites that are left alone.
    pub unchanged: BTreeSet<String>,
    /// What changed but cannot take effect now, in words for the log.
    pub warnings: Vec<String>,
}

impl Plan {
    /// Whether nothing has to be deployed or removed.
    pub fn is_empty(&self) -> bool {
        self.deploy.is_empty() && self.remove.is_empty()
    }
}

/// Compares `old` with `new`. A site changed when its own section did, or an
/// upstream it sends requests to, or something shared that it uses (the access log,
/// name resolution), or when it is in `extra_changed`: sites that changed outside
/// the file, such as by a renewed certificate.
pub fn plan(old: &Settings, new: &Settings, extra_changed: &BTreeSet<String>) -> Plan {
    let mut plan = Plan {
        warnings: warnings(old, new),
        ..Plan::default()
    };
    for (name, server) in &new.servers {
        let same = !extra_changed.contains(name)
            && old
                .servers
                .get(name)
                .is_some_and(|before| is_same(old, before, new, server));
        let set = match same {
            true => &mut plan.unchanged,
            false => &mut plan.deploy,
        };
        set.insert(name.clone());
    }
    let gone = old
        .servers
        .keys()
        .filter(|name| !new.servers.contains_key(*name));
    plan.remove = gone.cloned().collect();
    plan
}

fn is_same(old: &Settings, before: &Server, new: &Settings, after: &Server) -> bool {
    let upstreams = new.upstreams_of(after);
    let uses_names = upstreams.iter().filter_map(|name| new.upstreams.get(name));
    let uses_names = uses_names
        .flat_map(|upstream| &upstream.endpoints)
        .any(|endpoint| matches!(endpoint.address, EndpointAddress::Name { .. }));
    before == after
        && upstreams
            .iter()
            .all(|name| old.upstreams.get(name) == new.upstreams.get(name))
        && (!after.access_log || old.access_log == new.access_log)
        && (!uses_names || old.dns == new.dns)
}

fn warnings(old: &Settings, new: &Settings) -> Vec<String> {
    let mut warnings = Vec::new();
    let (old, new) = (&old.runtime, &new.runtime);
    if old.workers != new.workers {
        warnings.push(format!(
            "runtime.workers changed from {} to {}: this takes effect after a restart",
            old.workers, new.workers
        ));
    }
    if old.pin != new.pin {
        warnings.push(format!(
            "runtime.pin changed from {} to {}: this takes effect after a restart",
            old.pin, new.pin
        ));
    }
    warnings
}
