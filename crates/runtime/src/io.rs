//! One connection's byte stream, whatever carries it: TCP, a Unix socket, TLS over
//! either, or a WebSocket over any of these.
//!
//! An [`Io`] holds no read buffer of its own. [`Io::poll_readable`] says when a
//! read is worth a buffer, so that an idle connection keeps none.

mod passage;
mod websocket;

use std::fmt;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use rustix::net::{SendAncillaryBuffer, SendFlags, sendmsg};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsStream;
use tokio_util::io::poll_read_buf;

use self::websocket::WebSocket;
use crate::websocket::WebSocketOptions;

pub use self::passage::{ParkedSocket, Passage};

/// Who is at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PeerAddr {
    /// A TCP peer.
    Tcp(SocketAddr),
    /// A process on this machine, over a Unix socket. It has no address.
    Unix,
}

impl PeerAddr {
    /// The peer's IP address, if it has one.
    pub const fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Tcp(address) => Some(address.ip()),
            Self::Unix => None,
        }
    }
}

impl From<SocketAddr> for PeerAddr {
    fn from(address: SocketAddr) -> Self {
        Self::Tcp(address)
    }
}

impl fmt::Display for PeerAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix => f.write_str("unix"),
        }
    }
}

/// A plain socket of either kind.
#[derive(Debug)]
pub enum Socket {
    /// A TCP socket.
    Tcp(TcpStream),
    /// A Unix stream socket.
    Unix(UnixStream),
    /// A socket on its way to another worker.
    Parked(ParkedSocket),
}

#[derive(Debug)]
enum Stream {
    Plain(Socket),
    // Boxed: a TLS session is ten times a socket, and most connections have none.
    Tls(Box<TlsStream<Socket>>),
    // Boxed for the same reason, and because it is an `Io` around another.
    WebSocket(Box<WebSocket>),
}

/// One connection's byte stream.
///
/// Reading and writing are cancellation safe: bytes that were read are in the
/// caller's buffer, bytes that were not stay in the stream.
#[derive(Debug)]
pub struct Io {
    stream: Stream,
    /// Bytes read ahead (to detect a protocol) that are still to be delivered.
    prefix: Option<Box<Bytes>>,
}

impl Io {
    /// Wraps a connected TCP socket.
    pub fn from_tcp(stream: TcpStream) -> Self {
        Self::plain(Socket::Tcp(stream))
    }

    /// Wraps a connected Unix socket.
    pub fn from_unix(stream: UnixStream) -> Self {
        Self::plain(Socket::Unix(stream))
    }

    fn plain(socket: Socket) -> Self {
        Self {
            stream: Stream::Plain(socket),
            prefix: None,
        }
    }

    pub(crate) fn from_tls(stream: TlsStream<Socket>) -> Self {
        Self {
            stream: Stream::Tls(Box::new(stream)),
            prefix: None,
        }
    }

    /// Speaks WebSocket from here on, as the server, with the handshake done: what is read
    /// and written are the payloads of binary frames, whatever their bounds.
    #[must_use]
    pub fn over_websocket(self, options: WebSocketOptions) -> Self {
        Self {
            stream: Stream::WebSocket(Box::new(WebSocket::new(self, options))),
            prefix: None,
        }
    }

    /// Whether [`flush`](AsyncWrite::poll_flush) has something to send that nobody wrote:
    /// an answer of the carrying protocol's own, which the socket had no room for.
    pub fn has_unsent(&self) -> bool {
        match &self.stream {
            Stream::Plain(_) | Stream::Tls(_) => false,
            Stream::WebSocket(stream) => stream.has_unsent(),
        }
    }

    /// Connects to a TCP address, with `TCP_NODELAY` set.
    ///
    /// # Errors
    ///
    /// What the connection attempt failed with. Has no time limit of its own.
    pub async fn connect_tcp(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self::from_tcp(stream))
    }

    /// Connects to a Unix socket.
    ///
    /// # Errors
    ///
    /// What the connection attempt failed with.
    pub async fn connect_unix(path: &Path) -> io::Result<Self> {
        UnixStream::connect(path).await.map(Self::from_unix)
    }

    /// Puts bytes that were read ahead back in front of the stream.
    #[must_use]
    pub fn with_prefix(mut self, prefix: Bytes) -> Self {
        self.set_prefix(prefix);
        self
    }

    pub(crate) fn set_prefix(&mut self, prefix: Bytes) {
        if !prefix.is_empty() {
            self.prefix = Some(Box::new(prefix));
        }
    }

    /// Takes out what was read ahead, so that it can be delivered some other way.
    pub(crate) fn take_prefix(&mut self) -> Bytes {
        self.prefix.take().map_or_else(Bytes::new, |prefix| *prefix)
    }

    /// Takes the plain socket out, to put TLS on it.
    ///
    /// # Errors
    ///
    /// The stream itself, if it is TLS already or has bytes read ahead.
    pub fn into_socket(self) -> Result<Socket, Self> {
        match self {
            Self {
                stream: Stream::Plain(socket),
                prefix: None,
            } => Ok(socket),
            other => Err(other),
        }
    }

    /// Lets the peer see, when the stream is dropped, that it broke off: a plain
    /// end of the stream could be taken for the end of what was sent.
    ///
    /// A Unix socket has no such sign; its peer sees the end.
    pub fn break_off(&self) {
        let socket = match &self.stream {
            Stream::Plain(socket) => socket,
            Stream::Tls(stream) => stream.get_ref().0,
            Stream::WebSocket(stream) => return stream.carrier().break_off(),
        };
        if let Socket::Tcp(stream) = socket {
            // Fails only on a socket that is gone, and that says the same.
            let _ = stream.set_zero_linger();
        }
    }

    /// The TLS session, if this stream has one.
    pub fn tls(&self) -> Option<&rustls::CommonState> {
        match &self.stream {
            Stream::Plain(_) => None,
            Stream::Tls(stream) => match &**stream {
                TlsStream::Server(stream) => Some(stream.get_ref().1),
                TlsStream::Client(stream) => Some(stream.get_ref().1),
            },
            Stream::WebSocket(stream) => stream.carrier().tls(),
        }
    }

    /// The host name the TLS client asked for (RFC 6066 section 3).
    pub fn server_name(&self) -> Option<&str> {
        match &self.stream {
            Stream::Tls(stream) => match &**stream {
                TlsStream::Server(stream) => stream.get_ref().1.server_name(),
                TlsStream::Client(_) => None,
            },
            Stream::Plain(_) => None,
            Stream::WebSocket(stream) => stream.carrier().server_name(),
        }
    }

    /// Ready when a read is likely to give bytes, the end, or an error.
    ///
    /// May be ready without cause (a TLS record that carries no data): the read
    /// then is pending, and the caller gives its buffer back and asks again.
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.prefix.is_some() {
            return Poll::Ready(Ok(()));
        }
        match &self.stream {
            Stream::Plain(socket) => socket.poll_readable(cx),
            Stream::Tls(stream) => {
                let (socket, session) = stream.get_ref();
                if session.wants_read() {
                    socket.poll_readable(cx)
                } else {
                    Poll::Ready(Ok(()))
                }
            }
            Stream::WebSocket(stream) => stream.poll_readable(cx),
        }
    }

    /// Waits until a read is likely to give something. See [`Io::poll_readable`].
    ///
    /// # Errors
    ///
    /// The runtime is shutting down.
    pub async fn readable(&self) -> io::Result<()> {
        poll_fn(|cx| self.poll_readable(cx)).await
    }

    /// Reads into the spare capacity of `buffer`, which must not be empty.
    ///
    /// Zero means the peer has finished sending.
    pub fn poll_read_into(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut BytesMut,
    ) -> Poll<io::Result<usize>> {
        poll_read_buf(Pin::new(self), cx, buffer)
    }

    /// Writes as [`AsyncWrite::poll_write_vectored`] does, for a caller that drops the stream
    /// or ends its writing as soon as all is written.
    ///
    /// The last bytes may stay in the kernel until then and leave with the end of a TCP
    /// stream: one packet less, and one less to wake the peer for. If the caller neither
    /// drops the stream nor ends it they leave as well, a moment later (`MSG_MORE`, tcp(7)).
    pub fn poll_write_last(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &self.stream {
            Stream::Plain(Socket::Tcp(stream)) => poll_send_last(stream, cx, slices),
            Stream::Plain(_) | Stream::Tls(_) | Stream::WebSocket(_) => {
                Pin::new(self).poll_write_vectored(cx, slices)
            }
        }
    }
}

fn poll_send_last(
    stream: &TcpStream,
    cx: &mut Context<'_>,
    slices: &[IoSlice<'_>],
) -> Poll<io::Result<usize>> {
    loop {
        ready!(stream.poll_write_ready(cx))?;
        let sent = stream.try_io(Interest::WRITABLE, || {
            let mut nothing = SendAncillaryBuffer::default();
            let flags = SendFlags::MORE | SendFlags::NOSIGNAL;
            Ok(sendmsg(stream, slices, &mut nothing, flags)?)
        });
        match sent {
            // It is no longer taken to be writable, and asked again.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            sent => return Poll::Ready(sent),
        }
    }
}

impl Socket {
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => stream.poll_read_ready(cx),
            Self::Unix(stream) => stream.poll_read_ready(cx),
            // Reading then says why there is nothing to be read.
            Self::Parked(_) => Poll::Ready(Ok(())),
        }
    }
}

impl AsyncRead for Io {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(prefix) = &mut self.prefix {
            let count = prefix.len().min(buffer.remaining());
            buffer.put_slice(&prefix[..count]);
            prefix.advance(count);
            if prefix.is_empty() {
                self.prefix = None;
            }
            return Poll::Ready(Ok(()));
        }
        match &mut self.stream {
            Stream::Plain(socket) => Pin::new(socket).poll_read(cx, buffer),
            Stream::Tls(stream) => Pin::new(&mut **stream).poll_read(cx, buffer),
            Stream::WebSocket(stream) => Pin::new(&mut **stream).poll_read(cx, buffer),
        }
    }
}

/// Forwards a call to whatever `$self` holds, one of these variants.
macro_rules! each_stream {
    ($self:expr, $type:ident, [$($variant:ident),*], $stream:ident => $call:expr) => {
        match $self {
            $($type::$variant($stream) => {
                let $stream = Pin::new($stream);
                $call
            })*
        }
    };
}

impl AsyncWrite for Io {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        each_stream!(&mut self.stream, Stream, [Plain, Tls, WebSocket], stream => stream.poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        each_stream!(&mut self.stream, Stream, [Plain, Tls, WebSocket], stream => stream.poll_write_vectored(cx, slices))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each_stream!(&mut self.stream, Stream, [Plain, Tls, WebSocket], stream => stream.poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each_stream!(&mut self.stream, Stream, [Plain, Tls, WebSocket], stream => stream.poll_shutdown(cx))
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        each_stream!(self.get_mut(), Socket, [Tcp, Unix, Parked], stream => stream.poll_read(cx, buffer))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        each_stream!(self.get_mut(), Socket, [Tcp, Unix, Parked], stream => stream.poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        each_stream!(self.get_mut(), Socket, [Tcp, Unix, Parked], stream => stream.poll_write_vectored(cx, slices))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each_stream!(self.get_mut(), Socket, [Tcp, Unix, Parked], stream => stream.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each_stream!(self.get_mut(), Socket, [Tcp, Unix, Parked], stream => stream.poll_shutdown(cx))
    }
}

// An idle connection is mostly this: keep it to a few words.
const _: () = assert!(size_of::<Io>() <= 48);

#[cfg(test)]
mod tests;
