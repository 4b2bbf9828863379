//! What a process that replaces another can begin with.

use std::collections::BTreeSet;

use super::{Action, Protocol, Server, Settings};

impl Settings {
    /// These settings without the brokers whose stores the predecessor still has open, and
    /// without the servers that lead into them; `None` when there are none.
    pub fn before_stores_are_free(&self) -> Option<Self> {
        let mut late: BTreeSet<&str> = self
            .servers
            .values()
            .filter(|it| it.has_store())
            .map(|it| it.name.as_str())
            .collect();
        if late.is_empty() {
            return None;
        }
        // A server leads to another through one more at the most.
        for _ in 0..2 {
            let more: Vec<&str> = self
                .servers
                .values()
                .filter(|server| server.leads_to(&late))
                .map(|server| server.name.as_str())
                .collect();
            late.extend(more);
        }
        let late: BTreeSet<String> = late.into_iter().map(str::to_owned).collect();
        let mut first = self.clone();
        first.servers.retain(|name, _| !late.contains(name));
        Some(first)
    }
}

impl Server {
    fn has_store(&self) -> bool {
        matches!(&self.protocol, Protocol::Mqtt(mqtt) if mqtt.store.is_some())
    }

    fn leads_to(&self, servers: &BTreeSet<&str>) -> bool {
        let by_route = self.routes.iter().any(|route| match &route.action {
            Action::Broker { name, .. } => servers.contains(name.as_str()),
            _ => false,
        });
        let by_first_bytes = match &self.protocol {
            Protocol::Detect(detect) => detect
                .servers
                .values()
                .any(|name| servers.contains(name.as_str())),
            _ => false,
        };
        by_route || by_first_bytes
    }
}
