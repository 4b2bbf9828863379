//! A protocol over WebSocket as a service: an HTTP server whose one path switches to it.

use std::error::Error;
use std::fmt;
use std::rc::Rc;

use futures_util::TryFutureExt;
use futures_util::future::Either;
use http::StatusCode;
use tidegate_runtime::connections::Accepted;
use tidegate_runtime::in_place;
use tidegate_runtime::panic::contain;
use tidegate_service::{AsyncMakeService, Service};

use super::Handshake;
use crate::body::Body;
use crate::exchange::Exchange;
use crate::fault::Fault;
use crate::message::Response;
use crate::server::{HttpServer, ServerSettings};

/// Whether a site's connections begin with a WebSocket handshake.
#[derive(Clone, Debug, Default)]
pub enum WebSocketMode {
    /// They do not.
    #[default]
    Off,
    /// They do.
    On(Box<WebSocketSite>),
}

/// Where, and how, the handshake is made.
#[derive(Clone, Debug)]
pub struct WebSocketSite {
    /// The path that it is made at.
    pub path: String,
    /// What is agreed to.
    pub handshake: Handshake,
    /// What the requests before it are held to.
    pub http: ServerSettings,
}

/// Makes the handshake, then hands the connection on.
///
/// Turning it on or off is a setting of this service, not another service, so that the
/// state of what is behind it survives the change.
#[derive(Debug)]
pub struct WebSocketService<S> {
    inner: Rc<S>,
    front: Option<HttpServer<Door<S>>>,
}

/// Answers requests by handing the connection to what is behind.
#[derive(Debug)]
struct Door<S> {
    inner: Rc<S>,
    path: String,
    handshake: Handshake,
}

/// Why a connection with WebSocket in front ended early.
#[derive(Debug)]
pub enum WebSocketServiceError<E> {
    /// It did so before it was switched.
    Http(Fault),
    /// What the service behind says, where there is no WebSocket in front.
    Inner(E),
}

impl<E: fmt::Display> fmt::Display for WebSocketServiceError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(fault) => fault.fmt(f),
            Self::Inner(error) => error.fmt(f),
        }
    }
}

impl<E: Error> Error for WebSocketServiceError<E> {}

impl<S> Service<Accepted> for WebSocketService<S>
where
    S: Service<Accepted, Response = (), Error: Error> + 'static,
{
    type Response = ();
    type Error = WebSocketServiceError<S::Error>;

    // Not an `async fn`: that would keep room for the connection twice, in a future that
    // lives as long as the connection does.
    fn call(&self, accepted: Accepted) -> impl Future<Output = Result<(), Self::Error>> {
        match &self.front {
            None => {
                let serving = self.inner.call(accepted);
                Either::Left(serving.map_err(WebSocketServiceError::Inner))
            }
            // Boxed: for those who do without it there is to be no room for it.
            Some(front) => {
                let serving = in_place::future(|| front.call(accepted));
                Either::Right(serving.map_err(WebSocketServiceError::Http))
            }
        }
    }
}

impl<S> Service<Exchange> for Door<S>
where
    S: Service<Accepted, Response = (), Error: Error> + 'static,
{
    type Response = Response;
    type Error = Fault;

    async fn call(&self, exchange: Exchange) -> Result<Response, Fault> {
        if exchange.request.uri().path() != self.path {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::NOT_FOUND;
            return Ok(response);
        }
        let (inner, peer) = (Rc::clone(&self.inner), exchange.context.connection().peer);
        Ok(self
            .handshake
            .answer(&exchange, move |accepted| async move {
                contain(peer, inner.call(accepted)).await;
            }))
    }
}

/// Makes a [`WebSocketService`] around what `inner` makes.
#[derive(Clone, Debug)]
pub struct WebSocketFactory<F> {
    mode: WebSocketMode,
    inner: F,
}

impl<F> WebSocketFactory<F> {
    /// A factory for `mode` around `inner`.
    pub const fn new(mode: WebSocketMode, inner: F) -> Self {
        Self { mode, inner }
    }
}

impl<F: AsyncMakeService> AsyncMakeService for WebSocketFactory<F> {
    type Service = WebSocketService<F::Service>;
    type Error = F::Error;

    async fn make_via_ref(
        &self,
        old: Option<&Self::Service>,
    ) -> Result<Self::Service, Self::Error> {
        let inner = self.inner.make_via_ref(old.map(|old| &*old.inner)).await?;
        let inner = Rc::new(inner);
        let front = match &self.mode {
            WebSocketMode::Off => None,
            WebSocketMode::On(site) => {
                let door = Door {
                    inner: Rc::clone(&inner),
                    path: site.path.clone(),
                    handshake: site.handshake.clone(),
                };
                Some(HttpServer::new(site.http.clone(), door))
            }
        };
        Ok(WebSocketService { inner, front })
    }
}
