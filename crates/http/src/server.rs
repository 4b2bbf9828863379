//! Serving HTTP on accepted connections: chooses the protocol version of each
//! and runs the handler chain on its requests.

use std::rc::Rc;
use std::time::Duration;

use futures_util::future::Either;
use tidegate_runtime::connections::{Accepted, ConnectionHandle};
use tidegate_runtime::io::Io;
use tidegate_service::{AsyncMakeService, Service};

use crate::context::{ConnectionInfo, Scheme};
use crate::exchange::HttpHandler;
use crate::fault::Fault;
use crate::h1::codec::Limits;
use crate::h1::server::Connection;
use crate::h2;

/// How long a client may take, phase by phase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerTimeouts {
    /// From the first byte of a request to the end of its head, in all.
    pub header: Duration,
    /// The longest the client may stall while its request body is awaited.
    pub body: Duration,
    /// The longest a connection may stay without a request.
    pub idle: Duration,
    /// The longest the client may stall while a response is sent to it.
    pub write: Duration,
}

impl Default for ServerTimeouts {
    fn default() -> Self {
        Self {
            header: Duration::from_secs(10),
            body: Duration::from_secs(30),
            idle: Duration::from_secs(75),
            write: Duration::from_secs(30),
        }
    }
}

/// Whether HTTP/2 is spoken with clients that ask for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Http2 {
    /// By ALPN over TLS, by its connection preface without (RFC 9113 section 3).
    #[default]
    On,
    /// Never.
    Off,
}

/// What a server grants its clients.
#[derive(Clone, Debug)]
pub struct ServerSettings {
    /// Time limits.
    pub timeouts: ServerTimeouts,
    /// Size limits of requests.
    pub limits: Limits,
    /// How many requests one connection may carry before it is closed.
    pub requests_per_connection: u64,
    /// How many bytes of a request body that nobody read are read off after the
    /// response to keep the connection; beyond them it is closed.
    pub drain_body_bytes: u64,
    /// HTTP/2.
    pub http2: Http2,
    /// How many requests one HTTP/2 connection may have under way.
    pub http2_streams: u32,
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self {
            timeouts: ServerTimeouts::default(),
            limits: Limits::default(),
            requests_per_connection: 1_000_000,
            drain_body_bytes: 64 * 1024,
            http2: Http2::On,
            http2_streams: 128,
        }
    }
}

/// Serves HTTP/1.1 and HTTP/2 on accepted connections with a chain of handlers.
#[derive(Debug)]
pub struct HttpServer<H> {
    settings: Rc<ServerSettings>,
    handler: Rc<H>,
}

impl<H> HttpServer<H> {
    /// A server of `handler`.
    pub fn new(settings: ServerSettings, handler: H) -> Self {
        Self {
            settings: Rc::new(settings),
            handler: Rc::new(handler),
        }
    }

    /// The handler.
    pub fn handler(&self) -> &H {
        &self.handler
    }
}

impl<H: HttpHandler> Service<Accepted> for HttpServer<H> {
    type Response = ();
    type Error = Fault;

    fn call(&self, accepted: Accepted) -> impl Future<Output = Result<(), Fault>> {
        match self.open(accepted) {
            Opening::Http1(connection) => Either::Left(connection.serve(self)),
            // Boxed: an HTTP/2 connection is large, and most connections are not one.
            Opening::Http2(upgraded) => Either::Right(Box::pin(self.serve_http2(*upgraded))),
        }
    }
}

/// What a connection speaks to begin with.
enum Opening<'a, H> {
    Http1(Connection<'a, H>),
    Http2(Box<Http2Connection>),
}

/// A connection whose client speaks HTTP/2, from its preface on.
pub(crate) struct Http2Connection {
    pub(crate) io: Io,
    pub(crate) handle: ConnectionHandle,
    pub(crate) info: Rc<ConnectionInfo>,
}

impl<H: HttpHandler> HttpServer<H> {
    /// Serves a connection from HTTP/2's preface on.
    pub(crate) fn serve_http2(
        &self,
        connection: Http2Connection,
    ) -> impl Future<Output = Result<(), Fault>> + use<H> {
        h2::serve(self.settings.clone(), self.handler.clone(), connection)
    }

    fn open(&self, accepted: Accepted) -> Opening<'_, H> {
        let Accepted {
            io,
            peer,
            local,
            handle,
        } = accepted;
        let (scheme, negotiated) = match io.tls() {
            None => (Scheme::Http, None),
            Some(session) => (Scheme::Https, session.alpn_protocol()),
        };
        let chosen_http2 = negotiated == Some(b"h2".as_slice());
        // Without ALPN a client may begin HTTP/2 by its preface.
        let detects_http2 = self.settings.http2 == Http2::On && negotiated.is_none();
        let mut info = ConnectionInfo::new(peer, local, scheme);
        info.generation = handle.generation();
        info.server_name = io.server_name().map(Into::into);
        let info = Rc::new(info);
        if chosen_http2 {
            return Opening::Http2(Box::new(Http2Connection { io, handle, info }));
        }
        Opening::Http1(Connection::new(self, io, info, handle, detects_http2))
    }
}

impl<H> HttpServer<H> {
    pub(crate) fn settings(&self) -> &ServerSettings {
        &self.settings
    }
}

/// Makes an [`HttpServer`] around the handler chain `inner` makes.
#[derive(Clone, Debug)]
pub struct HttpServerFactory<F> {
    settings: ServerSettings,
    inner: F,
}

impl<F> HttpServerFactory<F> {
    /// A factory of servers with `settings`.
    pub const fn new(settings: ServerSettings, inner: F) -> Self {
        Self { settings, inner }
    }
}

impl<F: AsyncMakeService> AsyncMakeService for HttpServerFactory<F> {
    type Service = HttpServer<F::Service>;
    type Error = F::Error;

    async fn make_via_ref(
        &self,
        old: Option<&Self::Service>,
    ) -> Result<Self::Service, Self::Error> {
        let handler = self
            .inner
            .make_via_ref(old.map(HttpServer::handler))
            .await?;
        Ok(HttpServer::new(self.settings.clone(), handler))
    }
}
