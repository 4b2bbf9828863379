//! One request and an upstream: which endpoint, which connection, and whether
//! to try again.
//!
//! A request is tried again only where that is safe (RFC 9110 section 9.2.2):
//! if no connection came about, nothing was sent; if a connection broke before a
//! byte of a response, the method must be idempotent and the body at hand. A
//! kept connection that was closed meanwhile is no fault of the endpoint: the
//! same endpoint gets one more try, on a new connection.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Uri, header};
use tidegate_http::client::{ClientConnection, ClientSettings, Outgoing, Progress, Upgrading};
use tidegate_http::h1::codec::RequestTarget;
use tidegate_http::{Body, Context, Fault, FaultKind, Headers, Response};

use super::availability::Use;
use super::connect::connect;
use super::{Endpoint, Upstream};
use crate::balance::{Balance, EndpointIndex, InFlight};

/// The most endpoints one request is tried on, whatever the settings say.
const ATTEMPTS_MAX: usize = 16;

/// A request ready to be sent on.
#[derive(Debug)]
pub struct Forwarding {
    /// Its method.
    pub method: Method,
    /// Its target, rewritten if the route says so.
    pub uri: Uri,
    /// Its fields, as the upstream gets them.
    pub headers: Headers,
    /// Its body.
    pub body: Body,
    /// Whether it asks to switch protocols.
    pub upgrade: Upgrading,
}

/// How a route's requests are tried.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// The longest a new connection may take.
    pub connect_timeout: Duration,
    /// What the endpoint is granted.
    pub client: Rc<ClientSettings>,
}

/// What is left to try.
pub(super) struct Tries {
    /// At most [`ATTEMPTS_MAX`]; usually none, and then it is not allocated.
    tried: Vec<EndpointIndex>,
    retries: u32,
    /// The body, while it can be sent again.
    replay: Option<Bytes>,
}

/// What one endpoint made of a request.
enum Outcome {
    Answered(Response),
    /// Another endpoint may be asked.
    Elsewhere(Fault, Body),
    Failed(Fault),
}

impl Outcome {
    /// What it says of the endpoint, if anything.
    fn judge(&self) -> Option<Use> {
        let fault = match self {
            Self::Answered(_) => return Some(Use::Good),
            Self::Elsewhere(fault, _) | Self::Failed(fault) => fault,
        };
        let blamed = matches!(
            fault.kind(),
            FaultKind::UpstreamConnect
                | FaultKind::UpstreamConnectTimeout
                | FaultKind::UpstreamReset
                | FaultKind::UpstreamProtocol
                | FaultKind::UpstreamTimeout
        );
        blamed.then_some(Use::Bad)
    }
}

impl Upstream {
    /// Sends a request on and waits for the head of its response. Takes the
    /// request's body.
    ///
    /// # Errors
    ///
    /// The fault of the last endpoint tried, or that none can be.
    pub async fn exchange(
        &self,
        forwarding: &mut Forwarding,
        attempt: &Attempt,
        context: &Context,
    ) -> Result<Response, Fault> {
        context.note(|facts| facts.upstream = Some(self.name.clone()));
        let mut tries = Tries {
            replay: forwarding.body.as_full(),
            ..Tries::of(self.spec.retries)
        };
        let mut fault = None;
        while let Some(index) = self.pick(&tries) {
            let endpoint = self.endpoint(index);
            context.note(|facts| facts.endpoint = Some(endpoint.name.clone()));
            let in_flight = self.balancer.start(index);
            let outcome = self
                .ask(endpoint, forwarding, attempt, context, &tries)
                .await;
            if let Some(how) = outcome.judge() {
                self.note(index, how);
            }
            match outcome {
                Outcome::Answered(response) => return Ok(self.counted(response, in_flight)),
                Outcome::Failed(fault) => return Err(fault),
                Outcome::Elsewhere(cause, body) => {
                    forwarding.body = body;
                    fault = Some(cause);
                    if !tries.spend(index) {
                        break;
                    }
                    context.note(|facts| facts.retries += 1);
                }
            }
        }
        Err(fault.unwrap_or_else(|| Fault::new(FaultKind::NoEndpoint, "no endpoint is available")))
    }

    async fn ask(
        &self,
        endpoint: &Endpoint,
        forwarding: &mut Forwarding,
        attempt: &Attempt,
        context: &Context,
        tries: &Tries,
    ) -> Outcome {
        if let Some(host) = &endpoint.host {
            forwarding.headers.insert(header::HOST, host.clone());
        }
        let mut body = std::mem::take(&mut forwarding.body);
        if let Some(kept) = endpoint.pool.take(endpoint.limits) {
            self.cells.count_reused();
            match send(kept, forwarding, body, endpoint, attempt, context).await {
                Ok(response) => return Outcome::Answered(response),
                Err((fault, progress)) => match tries.again(&forwarding.method, progress) {
                    Some(replay) => body = replay,
                    None => return Outcome::Failed(fault),
                },
            }
            context.note(|facts| facts.retries += 1);
        }
        // Boxed: large, and most requests find a kept connection.
        let connecting = Box::pin(connect(&endpoint.spec, attempt.connect_timeout));
        let fresh = match connecting.await {
            Ok(fresh) => fresh,
            Err(fault) => {
                self.cells.count_failed();
                return Outcome::Elsewhere(fault, body);
            }
        };
        self.cells.count_connected();
        match send(fresh, forwarding, body, endpoint, attempt, context).await {
            Ok(response) => Outcome::Answered(response),
            Err((fault, progress)) => match tries.again(&forwarding.method, progress) {
                Some(replay) => Outcome::Elsewhere(fault, replay),
                None => Outcome::Failed(fault),
            },
        }
    }

    /// A request counts as under way until its response has been read.
    fn counted(&self, response: Response, in_flight: InFlight) -> Response {
        let streams = !response.body().is_at_hand() && !response.body().is_upgrade();
        if self.spec.balance != Balance::LeastRequests || !streams {
            return response;
        }
        response.map(|body| {
            body.inspect(move |_| {
                // Held for its drop: the place is given up with the body.
                let _ = &in_flight;
                Ok(())
            })
        })
    }
}

impl Tries {
    pub(super) const fn of(retries: u32) -> Self {
        Self {
            tried: Vec::new(),
            retries,
            replay: None,
        }
    }

    pub(super) fn may(&self, index: EndpointIndex) -> bool {
        !self.tried.contains(&index)
    }

    /// Notes that `index` failed; whether another endpoint may be asked.
    pub(super) fn spend(&mut self, index: EndpointIndex) -> bool {
        self.tried.push(index);
        let left = self.retries > 0 && self.tried.len() < ATTEMPTS_MAX;
        self.retries = self.retries.saturating_sub(1);
        left
    }

    /// The body to send again, if the request may be.
    fn again(&self, method: &Method, progress: Progress) -> Option<Body> {
        let safe = progress == Progress::NoResponse && method.is_idempotent();
        self.replay.clone().filter(|_| safe).map(Body::full)
    }
}

async fn send(
    connection: ClientConnection,
    forwarding: &Forwarding,
    body: Body,
    endpoint: &Endpoint,
    attempt: &Attempt,
    context: &Context,
) -> Result<Response, (Fault, Progress)> {
    let target = RequestTarget::new(&forwarding.method, &forwarding.uri).map_err(|error| {
        let fault = Fault::new(FaultKind::BadRequest, error.to_string());
        (fault, Progress::Begun)
    })?;
    let expects_continue = !body.is_at_hand() && forwarding.headers.contains_key(header::EXPECT);
    let outgoing = Outgoing {
        method: &forwarding.method,
        target,
        headers: &forwarding.headers,
        body,
        upgrade: forwarding.upgrade,
        expects_continue,
    };
    connection
        .send(outgoing, &attempt.client, &endpoint.home, context)
        .await
        .map_err(|failure| (failure.fault, failure.progress))
}
