//! The end of a chain, written for tower.

use std::convert::Infallible;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::pin;

use bytes::Bytes;
use tidegate_http::{Exchange, Fault, Response};
use tidegate_service::{MakeService, Service};

use super::bodies::{into_body, move_on};
use super::connection::describe;
use super::{RequestBody, fault};
use crate::BoxError;

/// Answers the requests of a chain with a tower service of `http` requests: an `axum::Router`,
/// say, as its last handler.
///
/// Bodies stream both ways, trailers included, and a frame is pulled when it is asked for. The
/// service finds a [`Connection`](super::Connection) among the extensions of a request. A fault
/// of the client's body is its error; an error of the response's body ends the response as the
/// [`fault`] behind it does.
///
/// Each request is answered by a clone, which is called once it is ready.
///
/// # Cancellation
///
/// Dropping the future, or the body of the response, drops what the service has returned.
/// Tasks that it has started go on.
///
/// # What does not pass
///
/// Switching protocols: hyper's upgrades, on which axum's WebSockets stand, are no part of the
/// types between the two. A handler of Tidegate's answers with
/// [`Body::takeover`](tidegate_http::Body::takeover) instead.
#[derive(Clone)]
pub struct TowerHandler<T> {
    service: T,
}

impl<T> TowerHandler<T> {
    /// A handler that asks `service`.
    pub const fn new(service: T) -> Self {
        Self { service }
    }
}

impl<T> fmt::Debug for TowerHandler<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TowerHandler({})", std::any::type_name::<T>())
    }
}

impl<T, B> Service<Exchange> for TowerHandler<T>
where
    T: tower_service::Service<http::Request<RequestBody>, Response = http::Response<B>> + Clone,
    T::Error: Into<BoxError>,
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + 'static,
{
    type Response = Response;
    type Error = Fault;

    async fn call(&self, exchange: Exchange) -> Result<Response, Fault> {
        let Exchange { request, context } = exchange;
        let (parts, body) = request.into_parts();
        let mut parts = http::request::Parts::from(parts);
        describe(&mut parts.extensions, &context);
        let (body, mut pump) = RequestBody::new(body);
        let request = http::Request::from_parts(parts, body);

        let mut service = self.service.clone();
        let ready = poll_fn(|cx| service.poll_ready(cx)).await;
        ready.map_err(|error| fault(error.into()))?;
        let mut answering = pin!(service.call(request));
        let answered = poll_fn(|cx| {
            let answered = answering.as_mut().poll(cx);
            if answered.is_pending() {
                move_on(&mut pump, cx);
            }
            answered
        });
        let response = answered.await.map_err(|error| fault(error.into()))?;
        Ok(response.map(|body| into_body(body, pump)).into())
    }
}

/// Makes the [`TowerHandler`]s of all workers from one service, of which each gets a clone.
///
/// What the service shares among its clones (the state of an `axum::Router`) is shared by the
/// workers; given to the next configuration's service, it survives the update.
#[derive(Clone)]
pub struct TowerHandlerFactory<T> {
    service: T,
}

impl<T> TowerHandlerFactory<T> {
    /// A factory of handlers that ask clones of `service`.
    pub const fn new(service: T) -> Self {
        Self { service }
    }
}

impl<T> fmt::Debug for TowerHandlerFactory<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TowerHandlerFactory({})", std::any::type_name::<T>())
    }
}

impl<T: Clone> MakeService for TowerHandlerFactory<T> {
    type Service = TowerHandler<T>;
    type Error = Infallible;

    fn make_via_ref(&self, _old: Option<&Self::Service>) -> Result<Self::Service, Infallible> {
        Ok(TowerHandler::new(self.service.clone()))
    }
}
