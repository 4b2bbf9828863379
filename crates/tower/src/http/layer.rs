//! Layers of tower's for `http` requests, around handlers.
//!
//! A handler is given the request and its context; such a layer knows requests only. So the
//! context waits outside, and the request carries a number by which it is found again within.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt;
use std::rc::Rc;
use std::task::{self, Poll};

use bytes::Bytes;
use tidegate_http::{Body, Context, Exchange, Fault, FaultKind, Response};
use tidegate_service::{
    AsyncMakeService, FactoryLayer, LayeredMakeService, ReadyMakeService, Service,
};
use tower_layer::Layer;

use super::bodies::into_body;
use super::fault;
use crate::{BoxError, FromTower, LocalFuture};

/// Puts a layer of tower's for `http` requests, one of tower-http say, around handlers.
///
/// It is to the requests of an HTTP chain what [`tower_layer`](crate::tower_layer()) is to those
/// of any other, and the same holds for state. Bodies stay on their worker: the layer may wrap
/// them in its own, which need not be `Send`. It has to keep the extensions of a request.
///
/// ```
/// use http::{HeaderName, HeaderValue};
/// use tidegate_service::FactoryStack;
/// use tidegate_tower::http::{TowerHandlerFactory, http_layer};
/// use tower_http::set_header::SetResponseHeaderLayer;
///
/// # fn stack<T: Clone>(application: T) {
/// let name = HeaderName::from_static("x-served-by");
/// let value = HeaderValue::from_static("tidegate");
/// let stack = FactoryStack::new(())
///     .replace(TowerHandlerFactory::new(application))
///     .push(http_layer(SetResponseHeaderLayer::overriding(name, value)));
/// # }
/// ```
pub fn http_layer<L>(layer: L) -> HttpLayer<L> {
    HttpLayer { layer }
}

/// A layer of tower's for `http` requests as a [`FactoryLayer`]; see [`http_layer`].
#[derive(Clone, Copy, Debug)]
pub struct HttpLayer<L> {
    layer: L,
}

impl<L: Clone, C, F> FactoryLayer<C, F> for HttpLayer<L> {
    type Factory = HttpLayerFactory<L, F>;

    fn layer(&self, _: &C, inner: F) -> Self::Factory {
        HttpLayerFactory {
            layer: self.layer.clone(),
            inner,
        }
    }
}

/// Makes [`HttpLayered`] handlers.
#[derive(Clone, Debug)]
pub struct HttpLayerFactory<L, F> {
    layer: L,
    inner: F,
}

/// The contexts of the requests that are within a layer, by number.
#[derive(Default)]
struct Contexts {
    next: Cell<u64>,
    under_way: RefCell<HashMap<u64, Context>>,
}

/// What a request carries through the layer.
#[derive(Clone, Copy)]
struct Ticket(u64);

/// Takes a context out again, however the call ends.
struct Stay<'a> {
    contexts: &'a Contexts,
    ticket: Ticket,
}

impl Contexts {
    fn enter(&self, context: Context) -> Stay<'_> {
        let ticket = Ticket(self.next.get());
        self.next.set(ticket.0 + 1);
        self.under_way.borrow_mut().insert(ticket.0, context);
        Stay {
            contexts: self,
            ticket,
        }
    }

    fn of(&self, ticket: Ticket) -> Option<Context> {
        self.under_way.borrow().get(&ticket.0).cloned()
    }
}

impl Drop for Stay<'_> {
    fn drop(&mut self) {
        // Bound to a name so that the borrow has ended when the context goes.
        let context = self.contexts.under_way.borrow_mut().remove(&self.ticket.0);
        drop(context);
    }
}

/// A handler within a layer of tower's for `http` requests.
pub struct HttpLayered<S, T> {
    inner: Rc<S>,
    contexts: Rc<Contexts>,
    outer: FromTower<T>,
}

impl<S, T> fmt::Debug for HttpLayered<S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("HttpLayered").field(&self.outer).finish()
    }
}

impl<S, T, B> Service<Exchange> for HttpLayered<S, T>
where
    T: tower_service::Service<http::Request<Body>, Response = http::Response<B>>,
    T::Error: Into<BoxError>,
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + 'static,
{
    type Response = Response;
    type Error = Fault;

    async fn call(&self, exchange: Exchange) -> Result<Response, Fault> {
        let Exchange {
            mut request,
            context,
        } = exchange;
        let stay = self.contexts.enter(context);
        request.extensions_mut().insert(stay.ticket);
        let response = self.outer.call(request.into()).await;
        let response = response.map_err(|error| fault(error.into()))?;
        Ok(response.map(|body| into_body(body, None)).into())
    }
}

/// What a layer is put around: the handler, as a tower service of `http` requests.
pub struct WithinLayer<S> {
    handler: Rc<S>,
    contexts: Rc<Contexts>,
}

impl<S> fmt::Debug for WithinLayer<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WithinLayer({})", std::any::type_name::<S>())
    }
}

impl<S> Clone for WithinLayer<S> {
    fn clone(&self) -> Self {
        Self {
            handler: Rc::clone(&self.handler),
            contexts: Rc::clone(&self.contexts),
        }
    }
}

impl<S, B> tower_service::Service<http::Request<B>> for WithinLayer<S>
where
    S: Service<Exchange, Response = Response, Error = Fault> + 'static,
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + 'static,
{
    type Response = http::Response<Body>;
    type Error = Fault;
    type Future = LocalFuture<Result<http::Response<Body>, Fault>>;

    fn poll_ready(&mut self, _: &mut task::Context<'_>) -> Poll<Result<(), Fault>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let mut request = request.map(|body| into_body(body, None));
        let ticket = request.extensions_mut().remove::<Ticket>();
        let context = ticket.and_then(|ticket| self.contexts.of(ticket));
        let handler = Rc::clone(&self.handler);
        Box::pin(async move {
            let lost = || Fault::new(FaultKind::Internal, "a layer has lost the extensions");
            let context = context.ok_or_else(lost)?;
            let request = request.into();
            let response = handler.call(Exchange { request, context }).await;
            response.map(Into::into)
        })
    }
}

impl<L, F> HttpLayerFactory<L, F>
where
    F: AsyncMakeService,
    L: Layer<WithinLayer<F::Service>>,
{
    fn around(&self, inner: F::Service) -> HttpLayered<F::Service, L::Service> {
        let within = WithinLayer {
            handler: Rc::new(inner),
            contexts: Rc::default(),
        };
        HttpLayered {
            inner: Rc::clone(&within.handler),
            contexts: Rc::clone(&within.contexts),
            outer: FromTower::new(self.layer.layer(within)),
        }
    }
}

impl<L, F> AsyncMakeService for HttpLayerFactory<L, F>
where
    F: AsyncMakeService,
    L: Layer<WithinLayer<F::Service>>,
{
    type Service = HttpLayered<F::Service, L::Service>;
    type Error = F::Error;

    async fn make_via_ref(&self, old: Option<&Self::Service>) -> Result<Self::Service, F::Error> {
        let inner = self.inner.make_via_ref(old.map(|old| &*old.inner)).await?;
        Ok(self.around(inner))
    }
}

impl<L, F> ReadyMakeService for HttpLayerFactory<L, F>
where
    F: ReadyMakeService,
    L: Layer<WithinLayer<F::Service>>,
{
}

impl<L, F> LayeredMakeService for HttpLayerFactory<L, F>
where
    F: AsyncMakeService,
    L: Layer<WithinLayer<F::Service>>,
{
    type InnerService = F::Service;

    fn inner_service(service: &Self::Service) -> &F::Service {
        &service.inner
    }

    async fn make_around(&self, inner: &F::Service) -> Result<Self::Service, F::Error> {
        Ok(self.around(self.inner.make_via_ref(Some(inner)).await?))
    }
}
