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
    if old.admin != new.admin {
        warnings.push("[admin] changed: this takes effect after a restart".to_owned());
    }
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use std::path::Path;

    const BASE: &str = r#"
        [runtime]
        workers = 2
        [dns]
        refresh = "30s"
        [access_log]
        file = "stdout"
        [servers.a]
        protocol = "http"
        listen = "127.0.0.1:1"
        [[servers.a.routes]]
        prefix = "/"
        upstream = "near"
        [servers.b]
        protocol = "http"
        listen = "127.0.0.1:2"
        access_log = false
        [[servers.b.routes]]
        prefix = "/"
        upstream = "far"
        [upstreams.near]
        endpoints = ["127.0.0.1:9000"]
        [upstreams.far]
        endpoints = ["far.internal:9000"]
    "#;

    fn settings(text: &str) -> Settings {
        super::super::parse(text, "test", Path::new("")).unwrap()
    }

    fn planned(text: &str) -> Plan {
        plan(&settings(BASE), &settings(text), &BTreeSet::new())
    }

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn comments_and_moved_lines_rebuild_nothing() {
        let plan = planned(&format!("# a comment\n\n\n{BASE}"));
        assert!(plan.is_empty());
        assert_eq!(plan.unchanged, set(&["a", "b"]));
        assert_eq!(plan.warnings, [""; 0]);
    }

    #[test]
    fn a_changed_upstream_rebuilds_only_the_sites_that_use_it() {
        let plan = planned(&BASE.replace("127.0.0.1:9000", "127.0.0.1:9001"));
        assert_eq!((plan.deploy, plan.unchanged), (set(&["a"]), set(&["b"])));
    }

    #[test]
    fn a_changed_section_rebuilds_its_site() {
        let plan = planned(&BASE.replace("127.0.0.1:2", "127.0.0.1:3"));
        assert_eq!((plan.deploy, plan.unchanged), (set(&["b"]), set(&["a"])));
    }

    #[test]
    fn what_is_shared_rebuilds_the_sites_that_use_it() {
        let plan = planned(&BASE.replace("stdout", "stderr"));
        assert_eq!(plan.deploy, set(&["a"]), "only a is in the access log");
        let plan = planned(&BASE.replace("30s", "31s"));
        assert_eq!(plan.deploy, set(&["b"]), "only b looks names up");
    }

    #[test]
    fn sites_come_and_go() {
        let renamed = BASE.replace("servers.b", "servers.c");
        let plan = planned(&renamed);
        assert_eq!(plan.deploy, set(&["c"]));
        assert_eq!(plan.remove, set(&["b"]));
        assert_eq!(plan.unchanged, set(&["a"]));
    }

    #[test]
    fn a_renewed_certificate_rebuilds_its_site() {
        let same = settings(BASE);
        let plan = plan(&same, &same, &set(&["b", "gone"]));
        assert_eq!((plan.deploy, plan.unchanged), (set(&["b"]), set(&["a"])));
    }

    #[test]
    fn what_needs_a_restart_is_said() {
        let plan = planned(&BASE.replace("workers = 2", "workers = 4\npin = false"));
        assert!(plan.is_empty());
        assert_eq!(plan.warnings.len(), 2);
        assert!(
            plan.warnings[0].contains("runtime.workers"),
            "{:?}",
            plan.warnings
        );
    }
}
