//! Which endpoints may be used now, and what each use says about that.

use tidegate_runtime::clock;

use super::exchange::Tries;
use super::{Endpoint, Upstream};
use crate::balance::EndpointIndex;

/// How the use of an endpoint went, as far as the endpoint is to blame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    Good,
    Bad,
}

impl Upstream {
    /// The endpoint for the next try: one that is healthy and not ejected. When there is
    /// none such at all, any: a guess is better than a refusal.
    pub(super) fn pick(&self, tries: &Tries) -> Option<EndpointIndex> {
        let now = clock::now();
        if !self.is_checked && !self.ejector.may_be_any_out(now) {
            return self.balancer.pick(|index| tries.may(index));
        }
        let is_in = |index| self.endpoint(index).is_healthy() && !self.ejector.is_out(index, now);
        let picked = self.balancer.pick(|index| tries.may(index) && is_in(index));
        picked.or_else(|| {
            let nobody_is = !(0..self.endpoints.len()).any(|index| is_in(EndpointIndex(index)));
            let anybody = || self.balancer.pick(|index| tries.may(index));
            nobody_is.then(anybody).flatten()
        })
    }

    /// Notes how the use of an endpoint went.
    pub(super) fn note(&self, index: EndpointIndex, how: Use) {
        match how {
            Use::Good if self.ejector.is_spotless(index) => {}
            Use::Good => self.ejector.succeeded(index, clock::now()),
            Use::Bad => self.note_failure(index),
        }
    }

    #[cold]
    fn note_failure(&self, index: EndpointIndex) {
        let now = clock::now();
        let Some(ejected) = self.ejector.failed(index, now) else {
            return;
        };
        let endpoint = &self.endpoint(index).name;
        self.cells.count_ejected(endpoint, ejected.until);
        tracing::warn!(
            upstream = &*self.name,
            endpoint = &**endpoint,
            failures = ejected.failures,
            seconds = ejected.until.since(now).as_secs(),
            "an endpoint keeps failing and is left alone for a while"
        );
    }
}

impl Endpoint {
    fn is_healthy(&self) -> bool {
        let health = self.spec.health.as_ref();
        health.is_none_or(|health| health.is_healthy())
    }
}
