//! Who waits for whom.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Machine, Unit, UnitId};

impl Machine {
    pub(crate) fn by_name(&self, name: &str) -> Option<UnitId> {
        self.names.get(name).copied()
    }

    /// The first dependency that is not met.
    pub(super) fn blocked_on(&self, unit: &Unit) -> Option<Arc<str>> {
        let found = |name: &str| self.by_name(name).and_then(|id| self.unit(id));
        let mut required = unit.spec.requires.iter();
        let missing = required.find(|name| !found(name).is_some_and(Unit::is_available));
        let mut wanted = unit.spec.wants.iter();
        let coming = |unit: &Unit| !unit.is_available() && !unit.is_over();
        missing
            .or_else(|| wanted.find(|name| found(name).is_some_and(coming)))
            .cloned()
    }

    /// Those `unit` starts after and stops before.
    pub(super) fn dependencies(&self, unit: &Unit) -> Vec<UnitId> {
        let names = unit.spec.requires.iter().chain(&unit.spec.wants);
        names.filter_map(|name| self.by_name(name)).collect()
    }

    /// The circle that a unit called `name` with these dependencies would close, if any:
    /// each name waits for the one after it, the last for the first.
    pub(crate) fn circle(&self, name: &str, dependencies: &[Arc<str>]) -> Option<Vec<Arc<str>>> {
        let mut path: Vec<Arc<str>> = Vec::new();
        let mut seen = BTreeSet::new();
        self.leads_to(name, dependencies, &mut path, &mut seen)
            .then(|| {
                let mut circle = vec![Arc::from(name)];
                circle.extend(path);
                circle
            })
    }

    fn leads_to(
        &self,
        goal: &str,
        dependencies: &[Arc<str>],
        path: &mut Vec<Arc<str>>,
        seen: &mut BTreeSet<UnitId>,
    ) -> bool {
        dependencies.iter().any(|next| {
            if **next == *goal {
                return true;
            }
            let Some(id) = self.by_name(next).filter(|id| seen.insert(*id)) else {
                return false;
            };
            let Some(unit) = self.unit(id) else {
                return false;
            };
            let further: Vec<Arc<str>> = unit
                .spec
                .requires
                .iter()
                .chain(&unit.spec.wants)
                .cloned()
                .collect();
            path.push(Arc::clone(next));
            let leads = self.leads_to(goal, &further, path, seen);
            if !leads {
                path.pop();
            }
            leads
        })
    }
}
