//! What a handler is given and what it answers.

use std::future::Future;

use tidegate_service::Service;

use crate::context::Context;
use crate::fault::Fault;
use crate::message::{Request, Response};

/// One request on its way through a chain, with what is known about it.
#[derive(Debug)]
pub struct Exchange {
    /// The request. Its URI has an authority only for `CONNECT` and where the
    /// client sent one; the `Host` field is always there if the client named a host.
    pub request: Request,
    /// Its context.
    pub context: Context,
}

/// A service that answers HTTP requests.
///
/// Implemented for every [`Service`] of the right shape; implement that one.
/// A [`Fault`] becomes the response its kind stands for. Dropping the returned
/// future gives the request up.
pub trait HttpHandler: 'static {
    /// Answers one request.
    fn handle(&self, exchange: Exchange) -> impl Future<Output = Result<Response, Fault>>;
}

impl<S> HttpHandler for S
where
    S: Service<Exchange, Response = Response, Error = Fault> + 'static,
{
    fn handle(&self, exchange: Exchange) -> impl Future<Output = Result<Response, Fault>> {
        self.call(exchange)
    }
}
