//! One site of the gateway: a service that finds a request's route and does what
//! the route says.
//!
//! What all workers share is in a [`SiteSpec`]; a worker's [`Site`] adds the
//! upstreams with their connections, which it takes over from its predecessor.

mod call;
mod forwarded;
mod problem;
mod query;
mod reply;

use std::cell::Cell;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::header::{HOST, UPGRADE};
use http::{HeaderValue, Method, StatusCode, Uri, Version};
use tidegate_http::client::{ClientSettings, Upgrading};
use tidegate_http::h1::codec::Limits;
use tidegate_http::headers::FieldValue;
use tidegate_http::{
    ConnectionInfo, Context, Exchange, Fault, FaultKind, Headers, Request, Response,
};
use tidegate_runtime::clock;
use tidegate_runtime::io::PeerAddr;
use tidegate_service::{MakeService, Service};

pub use self::call::{CallRoute, MethodName};
use self::call::{Caller, Calling};
pub use self::forwarded::{ForwardedSpec, ViaName};
pub use self::reply::{FixedResponse, Redirect};
use crate::forward::{HeaderEdits, ResponseHop, UpgradePolicy, ViaPolicy, prepare_response};
use crate::meter::{CallMeter, Meters, RouteCells, SiteMeter, UNROUTED};
use crate::route::{Match, Rewrite, RouteTable, path};
use crate::upstream::{Attempt, Forwarding, ThriftUpstream, Upstream, UpstreamSpec, seed};

/// What a site does, shared by all workers.
#[derive(Debug)]
pub struct SiteSpec {
    /// Its routes.
    pub routes: RouteTable<Route>,
    /// The upstreams its routes name by position.
    pub upstreams: Vec<UpstreamSpec>,
    /// Those that are asked in Thrift, which its routes name by position too.
    pub called: Vec<UpstreamSpec>,
    /// What upstreams are told of the client.
    pub forwarded: ForwardedSpec,
    /// What responses of upstreams are granted, but for the time limits of routes.
    pub client: ClientSettings,
    /// What requests are counted with.
    pub meter: SiteMeter,
}

impl SiteSpec {
    /// A site with these routes, and defaults for everything else: upstreams are told where a
    /// request came from, and requests are counted for nobody in particular.
    pub fn new(routes: RouteTable<Route>, upstreams: Vec<UpstreamSpec>) -> Self {
        Self {
            routes,
            upstreams,
            called: Vec::new(),
            forwarded: ForwardedSpec::default(),
            client: ClientSettings::default(),
            meter: Meters::default().site(""),
        }
    }
}

/// What is done with the requests of one route.
#[derive(Debug)]
pub struct Route {
    /// Its name in the access log and in metrics.
    pub name: Arc<str>,
    /// What is done.
    pub action: Action,
    /// Changes to the request's fields on their way to the upstream.
    pub request_headers: HeaderEdits,
    /// Changes to the response's fields on their way to the client.
    pub response_headers: HeaderEdits,
    /// Time limits.
    pub timeouts: RouteTimeouts,
    /// The largest request body, in bytes.
    pub body_bytes: u64,
}

impl Route {
    /// A route called `name` that changes no fields, with default limits.
    pub fn new(name: impl Into<Arc<str>>, action: Action) -> Self {
        Self {
            name: name.into(),
            action,
            request_headers: HeaderEdits::default(),
            response_headers: HeaderEdits::default(),
            timeouts: RouteTimeouts::default(),
            body_bytes: Limits::default().body_bytes,
        }
    }
}

/// What is done with a request.
#[derive(Debug)]
pub enum Action {
    /// It is sent on.
    Upstream {
        /// The upstream's position in the site's list.
        upstream: usize,
        /// How its path is changed.
        rewrite: Option<Rewrite>,
    },
    /// It is a call of a Thrift service.
    Call(Box<CallRoute>),
    /// It is answered here.
    Respond(FixedResponse),
    /// The client is sent elsewhere.
    Redirect(Redirect),
    /// Something else of this process answers.
    Handler(Arc<dyn RouteHandler>),
}

/// Answers the requests of a route in a way of its own, on whatever worker they come in.
pub trait RouteHandler: fmt::Debug + Send + Sync {
    /// Answers at once; what takes time goes into the response's body.
    fn answer(&self, exchange: &Exchange) -> Response;
}

/// How long the upstream of a route may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteTimeouts {
    /// To accept a connection.
    pub connect: Duration,
    /// To begin its response.
    pub response: Duration,
    /// Between two pieces of its response.
    pub idle: Duration,
    /// Between two bytes of a tunnel, either way.
    pub tunnel_idle: Duration,
}

impl Default for RouteTimeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(2),
            response: Duration::from_secs(60),
            idle: Duration::from_secs(60),
            tunnel_idle: Duration::from_secs(60 * 60),
        }
    }
}

/// A worker's side of a site. Answers requests.
#[derive(Debug)]
pub struct Site {
    spec: Arc<SiteSpec>,
    upstreams: Vec<Rc<Upstream>>,
    called: Vec<ThriftUpstream>,
    /// What calls are counted with, if there are any.
    calls: Option<CallMeter>,
    /// The number of the last call.
    sequence_id: Cell<i32>,
    /// By position of the route.
    routes: Vec<RouteState>,
    /// For requests that find no route.
    unrouted: Arc<RouteCells>,
}

#[derive(Debug)]
struct RouteState {
    name: Rc<str>,
    attempt: Attempt,
    cells: Arc<RouteCells>,
}

impl Site {
    /// The worker's upstreams, by position in the specification.
    pub fn upstreams(&self) -> &[Rc<Upstream>] {
        &self.upstreams
    }

    /// The worker's upstreams that are asked in Thrift, by position in the specification.
    pub fn called(&self) -> &[ThriftUpstream] {
        &self.called
    }

    async fn answer(&self, exchange: Exchange) -> Result<Response, Fault> {
        let Exchange { request, context } = exchange;
        let mut cells = &self.unrouted;
        let outcome = self.serve(request, &context, &mut cells).await;
        let status = match &outcome {
            Ok(response) => response.status(),
            Err(fault) => fault.kind().status(),
        };
        cells.count(status, clock::now().since(context.started()));
        outcome
    }

    /// Notes in `cells` where the request is to be counted, as soon as that is known.
    async fn serve<'a>(
        &'a self,
        request: Request,
        context: &Context,
        cells: &mut &'a Arc<RouteCells>,
    ) -> Result<Response, Fault> {
        // What finds the route and prepares the request is done with before the
        // wait: only what the response needs is kept through it.
        let Passage {
            route,
            upstream,
            attempt,
            mut forwarding,
        } = match self.step(request, context, cells)? {
            Step::Answered(response) => return Ok(response),
            Step::Forward(passage) => passage,
            // Boxed: not every site makes calls, and those are larger.
            Step::Call(route, calling) => {
                let mut response = Box::pin(self.make(calling, context)).await?;
                edit(route, &mut response);
                return Ok(response);
            }
        };
        let outcome = upstream.exchange(&mut forwarding, attempt, context).await;
        let mut response = outcome?;
        let switches = response.status() == StatusCode::SWITCHING_PROTOCOLS;
        let hop = ResponseHop {
            version: response.version(),
            upgrade: match forwarding.upgrade {
                Upgrading::Asked if switches => UpgradePolicy::Forward,
                _ => UpgradePolicy::Remove,
            },
            via: ViaPolicy::Omit,
        };
        prepare_response(response.headers_mut(), &hop);
        edit(route, &mut response);
        Ok(response)
    }

    async fn make(&self, calling: Calling<'_>, context: &Context) -> Result<Response, Fault> {
        let Some(meter) = &self.calls else {
            return Err(Fault::new(FaultKind::Internal, "a call without a meter"));
        };
        let sequence_id = self.sequence_id.get().wrapping_add(1);
        self.sequence_id.set(sequence_id);
        let caller = Caller {
            upstream: &self.called[calling.route.upstream],
            meter,
            sequence_id,
        };
        calling.answer(caller, context).await
    }

    /// Finds the request's route and does what can be done at once.
    fn step<'a>(
        &'a self,
        request: Request,
        context: &Context,
        cells: &mut &'a Arc<RouteCells>,
    ) -> Result<Step<'a>, Fault> {
        let path = path::canonical(asked_path(request.method(), request.uri()))
            .map_err(|fault| Fault::new(FaultKind::BadRequest, fault.to_string()))?;
        let host = match self.spec.routes.is_by_host() {
            true => asked_host(&request),
            false => "",
        };
        let Some(found) = self.spec.routes.find(host, &path) else {
            return Ok(Step::Answered(reply::plain(StatusCode::NOT_FOUND)));
        };
        let state = &self.routes[found.route];
        *cells = &state.cells;
        context.note(|facts| facts.route = Some(state.name.clone()));
        let route = self.spec.routes.target(found.route);
        let mut response = match &route.action {
            Action::Upstream { upstream, rewrite } => {
                let rewritten = rewritten(rewrite.as_ref(), request.uri(), &found)?;
                drop(found);
                drop(path);
                return Ok(Step::Forward(Passage {
                    route,
                    upstream: &self.upstreams[*upstream],
                    attempt: &state.attempt,
                    forwarding: self.prepare(request, rewritten, route, context)?,
                }));
            }
            Action::Call(call) => {
                let calling = Calling {
                    route: call,
                    method: call.method(&found.params),
                    body_bytes: route.body_bytes,
                    request,
                };
                return Ok(Step::Call(route, calling));
            }
            Action::Respond(fixed) => fixed.response(),
            Action::Redirect(redirect) => redirect.response(&request, context, &found.params)?,
            Action::Handler(handler) => {
                let context = context.clone();
                handler.answer(&Exchange { request, context })
            }
        };
        edit(route, &mut response);
        Ok(Step::Answered(response))
    }

    /// The request as the upstream gets it.
    fn prepare(
        &self,
        request: Request,
        rewritten: Option<Uri>,
        route: &Route,
        context: &Context,
    ) -> Result<Forwarding, Fault> {
        let (mut parts, body) = request.into_parts();
        let body = reply::limited(body, route.body_bytes)?;
        let upgrade = asks_upgrade(context, &parts.headers);
        let policy = match upgrade {
            Upgrading::Asked => UpgradePolicy::Forward,
            Upgrading::No => UpgradePolicy::Remove,
        };
        let forwarded = &self.spec.forwarded;
        forwarded.prepare(
            &mut parts.headers,
            parts.version,
            policy,
            context.connection(),
        );
        if parts.version == Version::HTTP_10 && !parts.headers.contains_key(HOST) {
            // The upstream is asked in HTTP/1.1, which needs one (RFC 9112 section 3.2).
            parts.headers.insert(HOST, own_host(context.connection()));
        }
        if !route.request_headers.is_empty() {
            route.request_headers.apply(&mut parts.headers);
        }
        Ok(Forwarding {
            method: parts.method,
            uri: rewritten.unwrap_or(parts.uri),
            headers: parts.headers,
            body,
            upgrade,
        })
    }
}

/// What became of a request before anybody was asked.
#[allow(
    clippy::large_enum_variant,
    reason = "it is taken apart at once; boxing would cost every forwarded request an allocation"
)]
enum Step<'a> {
    Answered(Response),
    Forward(Passage<'a>),
    Call(&'a Route, Calling<'a>),
}

/// A request on its way to an upstream.
struct Passage<'a> {
    route: &'a Route,
    upstream: &'a Upstream,
    attempt: &'a Attempt,
    forwarding: Forwarding,
}

fn edit(route: &Route, response: &mut Response) {
    if !route.response_headers.is_empty() {
        route.response_headers.apply(response.headers_mut());
    }
}

/// `CONNECT` names a host only; any other request has a path.
fn asked_path<'a>(method: &Method, uri: &'a Uri) -> &'a str {
    if method == Method::CONNECT {
        "/"
    } else {
        uri.path()
    }
}

fn asked_host(request: &Request) -> &str {
    request
        .headers()
        .get(HOST)
        .and_then(FieldValue::to_str)
        .or_else(|| request.uri().host())
        .unwrap_or("")
}

/// What a client that names no host has connected to.
fn own_host(connection: &ConnectionInfo) -> HeaderValue {
    let name = match (&connection.server_name, connection.local) {
        (Some(name), _) => HeaderValue::from_str(name),
        (None, PeerAddr::Tcp(address)) => HeaderValue::try_from(address.to_string()),
        (None, PeerAddr::Unix) => Ok(HeaderValue::from_static("localhost")),
    };
    name.unwrap_or(HeaderValue::from_static("localhost"))
}

/// HTTP/2 in clear is not on offer: whoever tunnels it past the gateway asks an
/// upstream for what its routes would refuse (RFC 9113 section 3.1 retired it).
fn asks_upgrade(context: &Context, headers: &Headers) -> Upgrading {
    let names_h2c = || {
        headers.get_all(UPGRADE).any(|value| {
            let mut protocols = value.as_bytes().split(|byte| *byte == b',');
            protocols.any(|it| it.trim_ascii().eq_ignore_ascii_case(b"h2c"))
        })
    };
    if context.asks_upgrade() && !names_h2c() {
        Upgrading::Asked
    } else {
        Upgrading::No
    }
}

fn rewritten(
    rewrite: Option<&Rewrite>,
    uri: &Uri,
    found: &Match<'_, Route>,
) -> Result<Option<Uri>, Fault> {
    let (Some(rewrite), Some(original)) = (rewrite, uri.path_and_query()) else {
        return Ok(None);
    };
    rewrite
        .apply(original, &found.params)
        .map(|path| Some(Uri::from(path)))
        .map_err(|error| Fault::new(FaultKind::BadRequest, error.to_string()))
}

impl Service<Exchange> for Site {
    type Response = Response;
    type Error = Fault;

    fn call(&self, exchange: Exchange) -> impl Future<Output = Result<Response, Fault>> {
        self.answer(exchange)
    }
}

/// Makes a worker's [`Site`].
#[derive(Clone, Debug)]
pub struct SiteFactory {
    spec: Arc<SiteSpec>,
}

impl SiteFactory {
    /// A factory of `spec`.
    pub fn new(spec: SiteSpec) -> Self {
        Self {
            spec: Arc::new(spec),
        }
    }
}

impl MakeService for SiteFactory {
    type Service = Site;
    type Error = std::convert::Infallible;

    fn make_via_ref(&self, old: Option<&Site>) -> Result<Site, Self::Error> {
        let called = self.spec.called.iter().map(|spec| {
            let mut predecessors = old.into_iter().flat_map(|old| &old.called);
            let old = predecessors.find(|upstream| **upstream.name() == *spec.name);
            let cells = self.spec.meter.upstream(&spec.name);
            ThriftUpstream::new(spec, old, seed()).metered(cells)
        });
        let called: Vec<_> = called.collect();
        let predecessor = |spec: &UpstreamSpec| {
            old?.upstreams
                .iter()
                .find(|upstream| **upstream.name() == *spec.name)
        };
        let upstreams = self
            .spec
            .upstreams
            .iter()
            .map(|spec| {
                let old = predecessor(spec).map(|upstream| &**upstream);
                let cells = self.spec.meter.upstream(&spec.name);
                Rc::new(Upstream::new(spec, old, seed()).metered(cells))
            })
            .collect();
        let routes = self
            .spec
            .routes
            .targets()
            .map(|(_, route)| RouteState {
                name: Rc::from(&*route.name),
                attempt: attempt(&self.spec.client, &route.timeouts),
                cells: self.spec.meter.route(&route.name),
            })
            .collect();
        Ok(Site {
            spec: self.spec.clone(),
            upstreams,
            calls: (!called.is_empty()).then(|| CallMeter::new(&self.spec.meter)),
            called,
            sequence_id: Cell::new(0),
            routes,
            unrouted: self.spec.meter.route(&UNROUTED.into()),
        })
    }
}

fn attempt(client: &ClientSettings, timeouts: &RouteTimeouts) -> Attempt {
    Attempt {
        connect_timeout: timeouts.connect,
        client: Rc::new(ClientSettings {
            response_timeout: timeouts.response,
            idle_timeout: timeouts.idle,
            tunnel_idle_timeout: timeouts.tunnel_idle,
            ..client.clone()
        }),
    }
}
