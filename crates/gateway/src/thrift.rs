//! A Thrift gateway: a service that finds a call's route, asks the route's upstream in the
//! transport and protocol it speaks, and gives the answer back.
//!
//! What all workers share is in a [`ThriftSpec`]; a worker's [`ThriftSite`] adds the
//! upstreams with their connections, which it takes over from its predecessor.

mod logged;
mod route;

use std::convert::Infallible;
use std::rc::Rc;
use std::sync::Arc;

use tidegate_runtime::clock;
use tidegate_service::{MakeService, Service};
use tidegate_thrift::codec::{
    HeaderKey, HeadersBuilder, Limits, Message, MessageKind, Protocol, Transport, Wire,
};
use tidegate_thrift::{Answer, Call, Context, Fault, FaultKind, respell};

pub use self::logged::{ThriftLogged, ThriftLoggedFactory};
pub use self::route::{CallMatch, HeaderMatch, NameMatch};
use crate::meter::{CallMeter, CallOutcome, SiteMeter};
use crate::upstream::{Asking, ThriftUpstream, UpstreamSpec, seed};

/// What a Thrift gateway does, shared by all workers.
#[derive(Debug)]
pub struct ThriftSpec {
    /// Its routes: a call takes the first that is for it.
    pub routes: Vec<ThriftRoute>,
    /// The upstreams its routes name by position.
    pub upstreams: Vec<UpstreamSpec>,
    /// Size limits of calls that are put into another protocol.
    pub limits: Limits,
    /// What calls are counted with.
    pub meter: SiteMeter,
}

/// What is done with the calls of one route.
#[derive(Debug)]
pub struct ThriftRoute {
    /// Its name in the access log.
    pub name: Arc<str>,
    /// The calls it is for.
    pub calls: CallMatch,
    /// The upstream's position in the site's list.
    pub upstream: usize,
    /// How the upstream is spoken to.
    pub spelling: Spelling,
    /// How calls are made.
    pub asking: Asking,
}

/// How an upstream is spoken to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spelling {
    /// The transport; the client's if none is named.
    pub transport: Option<Transport>,
    /// The protocol; the client's if none is named.
    pub protocol: Option<Protocol>,
    /// What becomes of the service in front of the method's name.
    pub service: ServicePrefix,
}

/// What becomes of the service in front of a method's name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ServicePrefix {
    /// It stays: the upstream multiplexes services as well.
    #[default]
    Keep,
    /// It goes: the upstream has this service alone.
    Remove,
}

/// A worker's side of a Thrift gateway. Answers calls.
#[derive(Debug)]
pub struct ThriftSite {
    spec: Arc<ThriftSpec>,
    upstreams: Vec<ThriftUpstream>,
    /// By position of the route.
    route_names: Vec<Rc<str>>,
    meter: CallMeter,
}

impl ThriftSite {
    /// The worker's upstreams, by position in the specification.
    pub fn upstreams(&self) -> &[ThriftUpstream] {
        &self.upstreams
    }

    async fn answer(&self, call: Call) -> Result<Answer, Fault> {
        let Call { message, context } = call;
        let method = message.envelope.method.clone();
        let outcome = self.serve(message, &context).await;
        let counted = outcome_of(&outcome);
        let duration = clock::now().since(context.started());
        self.meter.count(&method, counted, duration);
        outcome
    }

    async fn serve(&self, call: Message, context: &Context) -> Result<Answer, Fault> {
        let found = self
            .spec
            .routes
            .iter()
            .position(|route| route.calls.is_for(&call));
        let Some(at) = found else {
            return Err(Fault::new(FaultKind::UnknownMethod, "no route"));
        };
        let route = &self.spec.routes[at];
        context.note(|facts| facts.route = Some(Rc::clone(&self.route_names[at])));
        let call = translated(call, route.spelling, &self.spec.limits)?;
        let upstream = &self.upstreams[route.upstream];
        let answer = upstream.ask(&call, &route.asking, context).await?;
        Ok(answer.map_or(Answer::Nothing, Answer::Message))
    }
}

/// What is counted and logged of a call that came to this.
fn outcome_of(outcome: &Result<Answer, Fault>) -> CallOutcome {
    match outcome {
        Err(_) => CallOutcome::Fault,
        Ok(Answer::Nothing) => CallOutcome::OneWay,
        Ok(Answer::Message(message)) => match message.envelope.kind {
            MessageKind::Exception => CallOutcome::Exception,
            _ => CallOutcome::Reply,
        },
    }
}

/// The call as the upstream gets it.
pub(crate) fn translated(
    mut call: Message,
    spelling: Spelling,
    limits: &Limits,
) -> Result<Message, Fault> {
    let wire = Wire {
        transport: spelling.transport.unwrap_or(call.wire.transport),
        protocol: spelling.protocol.unwrap_or(call.wire.protocol),
    };
    if wire.transport.has_headers() && call.headers.is_none() {
        // What such an upstream finds its method by, or its own gateway does.
        let envelope = &call.envelope;
        let builder = HeadersBuilder::new(envelope.sequence_id)
            .with(HeaderKey::TO_METHOD, envelope.method_name());
        let builder = match envelope.service() {
            Some(service) => builder.and_then(|it| it.with(HeaderKey::TO_SERVICE, service)),
            None => builder,
        };
        call.headers = builder.ok().map(HeadersBuilder::build);
    }
    if spelling.service == ServicePrefix::Remove {
        let method = &call.envelope.method;
        call.envelope.method = method.slice_ref(call.envelope.method_name());
    }
    Ok(respell(call, wire, limits)?)
}

impl Service<Call> for ThriftSite {
    type Response = Answer;
    type Error = Fault;

    fn call(&self, call: Call) -> impl Future<Output = Result<Answer, Fault>> {
        self.answer(call)
    }
}

/// Makes a worker's [`ThriftSite`].
#[derive(Clone, Debug)]
pub struct ThriftSiteFactory {
    spec: Arc<ThriftSpec>,
}

impl ThriftSiteFactory {
    /// A factory of `spec`.
    pub fn new(spec: ThriftSpec) -> Self {
        Self {
            spec: Arc::new(spec),
        }
    }
}

impl MakeService for ThriftSiteFactory {
    type Service = ThriftSite;
    type Error = Infallible;

    fn make_via_ref(&self, old: Option<&ThriftSite>) -> Result<ThriftSite, Infallible> {
        let spec = &self.spec;
        let upstreams = spec.upstreams.iter().map(|upstream| {
            let mut predecessors = old.into_iter().flat_map(ThriftSite::upstreams);
            let old = predecessors.find(|old| **old.name() == *upstream.name);
            let cells = spec.meter.upstream(&upstream.name);
            ThriftUpstream::new(upstream, old, seed()).metered(cells)
        });
        let route_names = spec.routes.iter().map(|route| Rc::from(&*route.name));
        Ok(ThriftSite {
            upstreams: upstreams.collect(),
            route_names: route_names.collect(),
            meter: CallMeter::new(&spec.meter),
            spec: Arc::clone(spec),
        })
    }
}
