//! The one body type of requests and responses.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tidegate_runtime::connections::ConnectionHandle;
use tidegate_runtime::io::Io;

use crate::fault::Fault;

/// A body: nothing, bytes at hand, or a stream of frames that is pulled.
///
/// Pulling is all the flow control there is: a frame is read from one peer only
/// when the other has taken the frame before it. Dropping a streaming body stops
/// the exchange behind it.
#[derive(Default)]
pub struct Body(Kind);

#[derive(Default)]
enum Kind {
    #[default]
    Empty,
    Full(Bytes),
    Stream(Pin<Box<dyn http_body::Body<Data = Bytes, Error = Fault>>>),
    Upgrade(Upgrade),
}

/// What becomes of a connection after `101 Switching Protocols`, or after a
/// successful `CONNECT`: it gets the client's stream and owns it.
pub struct Upgrade(Box<dyn FnOnce(Io, ConnectionHandle) -> Takeover>);

/// The protocol that follows, running.
type Takeover = Pin<Box<dyn Future<Output = ()>>>;

impl Upgrade {
    /// Runs the new protocol on the client's stream, to its end.
    pub fn start(self, io: Io, handle: ConnectionHandle) -> Pin<Box<dyn Future<Output = ()>>> {
        (self.0)(io, handle)
    }
}

impl Body {
    /// No body.
    pub const fn empty() -> Self {
        Self(Kind::Empty)
    }

    /// A body whose bytes are at hand. Empty bytes are no body.
    pub fn full(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        if bytes.is_empty() {
            Self::empty()
        } else {
            Self(Kind::Full(bytes))
        }
    }

    /// A body that is pulled from `stream`.
    pub fn stream(stream: impl http_body::Body<Data = Bytes, Error = Fault> + 'static) -> Self {
        Self(Kind::Stream(Box::pin(stream)))
    }

    /// The "body" of a response that switches protocols: `start` is given the
    /// client's stream after the response head has been sent. Only for status
    /// 101 to a request that asked for it, or 2xx to `CONNECT`.
    pub fn upgrade<F, T>(start: F) -> Self
    where
        F: FnOnce(Io) -> T + 'static,
        T: Future<Output = ()> + 'static,
    {
        Self::takeover(|io, handle| {
            let running = start(io);
            async move {
                running.await;
                // Its place is taken until then.
                drop(handle);
            }
        })
    }

    /// As [`Self::upgrade`], for a protocol that itself minds the connection's place among
    /// the others: when it is to leave, and whom else it belongs to.
    pub fn takeover<F, T>(start: F) -> Self
    where
        F: FnOnce(Io, ConnectionHandle) -> T + 'static,
        T: Future<Output = ()> + 'static,
    {
        Self(Kind::Upgrade(Upgrade(Box::new(|io, handle| {
            Box::pin(start(io, handle))
        }))))
    }

    /// This body, each frame of which `inspect` sees before it is passed on, and
    /// may refuse. `inspect` lives, with what it holds, as long as the body does.
    ///
    /// The body becomes a stream: inspect one that [is at hand](Self::is_at_hand)
    /// where it stands.
    #[must_use]
    pub fn inspect<F>(self, inspect: F) -> Self
    where
        F: FnMut(&Frame<Bytes>) -> Result<(), Fault> + Unpin + 'static,
    {
        Self::stream(Inspected {
            body: self,
            inspect,
        })
    }

    /// The bytes, if they are all at hand (none, for an empty body).
    pub fn as_full(&self) -> Option<Bytes> {
        match &self.0 {
            Kind::Empty => Some(Bytes::new()),
            Kind::Full(bytes) => Some(bytes.clone()),
            Kind::Stream(_) | Kind::Upgrade(_) => None,
        }
    }

    /// Whether there is no body at all.
    pub const fn is_empty(&self) -> bool {
        matches!(self.0, Kind::Empty)
    }

    /// Whether all of the bytes, or none, are at hand.
    pub const fn is_at_hand(&self) -> bool {
        matches!(self.0, Kind::Empty | Kind::Full(_))
    }

    /// Whether this is a protocol switch.
    pub const fn is_upgrade(&self) -> bool {
        matches!(self.0, Kind::Upgrade(_))
    }

    /// Takes the protocol switch out, if this is one.
    ///
    /// # Errors
    ///
    /// The body itself, if it is an ordinary one.
    pub fn into_upgrade(self) -> Result<Upgrade, Self> {
        match self.0 {
            Kind::Upgrade(upgrade) => Ok(upgrade),
            kind => Err(Self(kind)),
        }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        match &mut self.0 {
            Kind::Empty | Kind::Upgrade(_) => Poll::Ready(None),
            Kind::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                self.0 = Kind::Empty;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Kind::Stream(stream) => stream.as_mut().poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Empty | Kind::Upgrade(_) => true,
            Kind::Full(_) => false,
            Kind::Stream(stream) => stream.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Empty | Kind::Upgrade(_) => SizeHint::with_exact(0),
            Kind::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Kind::Stream(stream) => stream.size_hint(),
        }
    }
}

struct Inspected<F> {
    body: Body,
    inspect: F,
}

impl<F> http_body::Body for Inspected<F>
where
    F: FnMut(&Frame<Bytes>) -> Result<(), Fault> + Unpin,
{
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        let this = &mut *self;
        let pulled = ready!(Pin::new(&mut this.body).poll_frame(cx));
        Poll::Ready(pulled.map(|frame| {
            let frame = frame?;
            (this.inspect)(&frame)?;
            Ok(frame)
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Empty => f.write_str("Body(empty)"),
            Kind::Full(bytes) => write!(f, "Body({} bytes)", bytes.len()),
            Kind::Stream(_) => f.write_str("Body(stream)"),
            Kind::Upgrade(_) => f.write_str("Body(upgrade)"),
        }
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self::full(bytes)
    }
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Self {
        Self::full(Bytes::from_static(text.as_bytes()))
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Self::full(text)
    }
}
