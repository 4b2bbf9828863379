//! Asking an HTTP/1.1 server, one connection at a time. A pool of connections is
//! its user's affair: a connection comes back to its [`ConnectionHome`] by
//! itself, as soon as its response has been read.

use std::fmt;
use std::rc::Rc;
use std::task::{Context as TaskContext, Poll, Waker};
use std::time::Duration;

use bytes::BytesMut;
use http::Method;
use tidegate_runtime::buffer::{self, BufferSize};
use tidegate_runtime::clock::{self, Tick};
use tidegate_runtime::deadline::Deadline;
use tidegate_runtime::io::Io;

use crate::body::Body;
use crate::context::Context;
use crate::fault::Fault;
use crate::h1::client;
use crate::h1::codec::{BodyDecoder, BodyEvent, Limits, RequestTarget};
use crate::headers::Headers;
use crate::message::Response;

/// How much of a response nobody wants any more is read off to keep the connection.
pub const RESIDUE_BYTES_MAX: u64 = 256 * 1024;
/// How long the rest of such a response may take to arrive.
pub const RESIDUE_TIMEOUT: Duration = Duration::from_secs(1);

/// What a client grants a server.
#[derive(Clone, Debug)]
pub struct ClientSettings {
    /// From the request's last byte to the end of the response head, or the
    /// longest the server may stall while the request body is sent to it.
    pub response_timeout: Duration,
    /// The longest silence within a response body.
    pub idle_timeout: Duration,
    /// The longest silence on a connection that switched protocols.
    pub tunnel_idle_timeout: Duration,
    /// How long `Expect: 100-continue` waits before the body is sent anyway
    /// (RFC 9110 section 10.1.1).
    pub continue_timeout: Duration,
    /// Size limits of responses.
    pub limits: Limits,
}

impl Default for ClientSettings {
    fn default() -> Self {
        Self {
            response_timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(60),
            tunnel_idle_timeout: Duration::from_secs(3600),
            continue_timeout: Duration::from_secs(1),
            limits: Limits {
                // The other side is ours: how much it answers is its affair.
                body_bytes: u64::MAX,
                ..Limits::default()
            },
        }
    }
}

/// Where a connection goes when its response has been read.
pub trait ConnectionHome {
    /// Takes a connection that can carry another request.
    fn give_back(&self, connection: ClientConnection);
}

/// What is asked for.
#[derive(Debug)]
pub struct Outgoing<'a> {
    /// The method.
    pub method: &'a Method,
    /// What it is asked of.
    pub target: RequestTarget<'a>,
    /// The fields; those that frame the message or concern the connection are
    /// written by the connection, whatever is in here.
    pub headers: &'a Headers,
    /// The body.
    pub body: Body,
    /// Whether the `Upgrade` field is sent, so that a protocol switch may follow.
    pub upgrade: Upgrading,
    /// Whether the body waits for `100 Continue`.
    pub expects_continue: bool,
}

/// Whether a request asks to switch protocols.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upgrading {
    /// It does not.
    No,
    /// It does, by `Upgrade` or `CONNECT`.
    Asked,
}

/// A request that got no response.
#[derive(Debug)]
pub struct SendFailure {
    /// Why.
    pub fault: Fault,
    /// Whether another attempt, on another connection, can be right.
    pub progress: Progress,
}

/// How far a failed request had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The connection broke before a byte of a response arrived.
    NoResponse,
    /// Something else: the server took its time, or began to answer.
    Begun,
}

/// What a connection that waits in a pool is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// It can carry a request.
    Ready,
    /// The rest of an abandoned response is still arriving.
    Busy,
    /// It was closed, or has bytes nobody asked for.
    Dead,
}

/// One connection to a server, between two requests.
pub struct ClientConnection {
    pub(crate) io: Io,
    pub(crate) deadline: Deadline,
    pub(crate) requests: u64,
    pub(crate) idle_since: Tick,
    pub(crate) residue: Option<Box<Residue>>,
}

/// The rest of a response whose reader went away.
#[derive(Debug)]
pub(crate) struct Residue {
    pub(crate) decoder: BodyDecoder,
    pub(crate) expires: Tick,
}

impl ClientConnection {
    /// A connection over `io` that has carried nothing yet.
    pub fn new(io: Io) -> Self {
        Self {
            io,
            deadline: Deadline::new(),
            requests: 0,
            idle_since: clock::now(),
            residue: None,
        }
    }

    /// How many requests it has carried.
    pub const fn requests(&self) -> u64 {
        self.requests
    }

    /// Since when it has been idle.
    pub const fn idle_since(&self) -> Tick {
        self.idle_since
    }

    /// Whether it can carry a request now. Usually costs no system call.
    pub fn readiness(&mut self) -> Readiness {
        let mut cx = TaskContext::from_waker(Waker::noop());
        if self.io.poll_readable(&mut cx).is_pending() {
            return match &self.residue {
                None => Readiness::Ready,
                Some(residue) if residue.expires > clock::now() => Readiness::Busy,
                Some(_) => Readiness::Dead,
            };
        }
        let mut input = buffer::take(BufferSize::Body);
        let readiness = self.inspect(&mut cx, &mut input);
        buffer::give(input, BufferSize::Body);
        readiness
    }

    fn inspect(&mut self, cx: &mut TaskContext<'_>, input: &mut BytesMut) -> Readiness {
        loop {
            match (self.io.poll_read_into(cx, input), &mut self.residue) {
                (Poll::Pending, None) => return Readiness::Ready,
                (Poll::Pending, Some(residue)) if residue.expires > clock::now() => {
                    return Readiness::Busy;
                }
                (Poll::Ready(Ok(1..)), Some(residue)) => {
                    while let Ok(BodyEvent::Data(_)) = residue.decoder.decode(input) {}
                    if !residue.decoder.is_complete() {
                        continue;
                    }
                    self.residue = None;
                    if !input.is_empty() {
                        return Readiness::Dead;
                    }
                    input.reserve(1);
                }
                _ => return Readiness::Dead,
            }
        }
    }

    /// Sends a request and waits for the head of its final response.
    ///
    /// Informational responses go to `context`. The response's body is pulled
    /// from the connection, which goes `home` when it has been read; dropping
    /// the body early gives the connection back as well if little is left.
    /// Dropping the returned future closes the connection.
    ///
    /// # Errors
    ///
    /// [`SendFailure`], which says whether the request may be tried elsewhere.
    pub fn send<'a>(
        self,
        outgoing: Outgoing<'a>,
        settings: &'a Rc<ClientSettings>,
        home: &'a Rc<dyn ConnectionHome>,
        context: &'a Context,
    ) -> impl Future<Output = Result<Response, SendFailure>> + use<'a> {
        client::send(self, outgoing, settings, home, context)
    }
}

impl fmt::Debug for ClientConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientConnection")
            .field("requests", &self.requests)
            .field("residue", &self.residue.is_some())
            .finish_non_exhaustive()
    }
}
