//! The receiver: reads the header off a connection, then hands the connection on as that
//! of the client behind the proxy.

use std::error::Error;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::IpAddr;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use futures_util::TryFutureExt;
use futures_util::future::Either;
use tidegate_service::{AsyncMakeService, Service};

use super::{HEADER_BYTES_MAX, Proxied, ProxyHeader, ProxyHeaderError, parse};
use crate::buffer::{self, BufferSize};
use crate::connections::{Accepted, NEWCOMER_GRACE};
use crate::deadline::Deadline;
use crate::in_place;
use crate::io::{Io, PeerAddr};
use crate::limit::{self, Limit};
use crate::network::IpNetwork;

/// How long a proxy may take to send its header, if nothing else is said.
pub const DEFAULT_HEADER_TIMEOUT: Duration = Duration::from_secs(5);

/// Whether a site's connections begin with a PROXY protocol header.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ProxyProtocolMode {
    /// They do not.
    #[default]
    Off,
    /// Those of proxies do.
    On(ProxyProtocolOptions),
}

/// Whose header is believed, and what becomes of others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyProtocolOptions {
    /// Where our proxies are. Who connects through a Unix socket is one always: the
    /// socket's permissions say who may.
    pub trust: Vec<IpNetwork>,
    /// What happens to connections from elsewhere.
    pub others: OtherPeers,
    /// The longest a header may take.
    pub header_timeout: Duration,
}

/// What becomes of a connection that does not come from a proxy of ours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OtherPeers {
    /// It is closed.
    #[default]
    Refused,
    /// It is a client's, and begins without a header.
    Direct,
}

impl ProxyProtocolOptions {
    fn trusts(&self, peer: &PeerAddr) -> bool {
        peer.ip()
            .is_none_or(|address| self.trust.iter().any(|network| network.contains(address)))
    }
}

/// Reads the header, if there is to be one, and serves the connection with what it says.
///
/// Turning it on or off is a setting of this service, not another service, so that the
/// state of what is behind it survives the change.
#[derive(Debug)]
pub struct ProxyProtocolService<S> {
    mode: Rc<ProxyProtocolMode>,
    inner: S,
}

/// Why a connection behind a proxy ended early.
#[derive(Debug)]
pub enum ProxyProtocolServiceError<E> {
    /// It comes from nobody who may say where it comes from.
    Untrusted,
    /// It does not begin with a header.
    Header(ProxyHeaderError),
    /// The header was not complete in time.
    HeaderTimeout,
    /// The connection broke during the header.
    Io(io::Error),
    /// What the service behind says.
    Inner(E),
}

impl<E: fmt::Display> fmt::Display for ProxyProtocolServiceError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Untrusted => f.write_str("the peer is not among the proxies that are trusted"),
            Self::Header(error) => error.fmt(f),
            Self::HeaderTimeout => f.write_str("the PROXY protocol header took too long"),
            Self::Io(error) => write!(f, "PROXY protocol header: {error}"),
            Self::Inner(error) => error.fmt(f),
        }
    }
}

impl<E: Error> Error for ProxyProtocolServiceError<E> {}

impl<S: Service<Accepted>> Service<Accepted> for ProxyProtocolService<S> {
    type Response = S::Response;
    type Error = ProxyProtocolServiceError<S::Error>;

    // Not an `async fn`: that would keep room for the connection twice, in a future that
    // lives as long as the connection does.
    fn call(
        &self,
        accepted: Accepted,
    ) -> impl Future<Output = Result<Self::Response, Self::Error>> {
        let options = match &*self.mode {
            ProxyProtocolMode::Off => None,
            ProxyProtocolMode::On(options) => Some(options),
        };
        let options = options.filter(|options| {
            options.trusts(&accepted.peer) || options.others == OtherPeers::Refused
        });
        let Some(options) = options else {
            let serving = self.inner.call(accepted);
            return Either::Left(serving.map_err(ProxyProtocolServiceError::Inner));
        };
        // Boxed: gone long before the connection is.
        let receiving = in_place::future(|| receive(options, accepted));
        Either::Right(async move {
            let accepted = receiving.await?;
            let serving = self.inner.call(accepted);
            serving.await.map_err(ProxyProtocolServiceError::Inner)
        })
    }
}

async fn receive<E>(
    options: &ProxyProtocolOptions,
    mut accepted: Accepted,
) -> Result<Accepted, ProxyProtocolServiceError<E>> {
    if !options.trusts(&accepted.peer) {
        return Err(ProxyProtocolServiceError::Untrusted);
    }
    let header = read_header(options.header_timeout, &mut accepted).await?;
    if let Proxied::Tcp {
        source,
        destination,
    } = header.proxied
        && !is_within_the_proxy(&accepted.peer, source.ip())
    {
        accepted.peer = PeerAddr::Tcp(source);
        accepted.local = PeerAddr::Tcp(destination);
    }
    Ok(accepted)
}

/// Whether the client is a process beside the proxy on another machine: its loopback
/// address would make it one beside ourselves, with all that is granted to those.
fn is_within_the_proxy(proxy: &PeerAddr, client: IpAddr) -> bool {
    let beside_us = proxy.ip().is_none_or(|it| it.to_canonical().is_loopback());
    client.to_canonical().is_loopback() && !beside_us
}

/// Takes the header off the stream. What came behind it stays in front of the rest.
async fn read_header<E>(
    timeout: Duration,
    accepted: &mut Accepted,
) -> Result<ProxyHeader, ProxyProtocolServiceError<E>> {
    let Accepted { io, handle, .. } = accepted;
    let deadline = Deadline::new();
    deadline.arm(timeout);
    handle.mark_idle();
    let mut is_hastened = false;
    let mut bytes = BytesMut::new();
    let header = poll_fn(|cx| {
        while io.poll_readable(cx).is_ready() {
            // Who says nothing yet has no buffer; one without room for a verdict grows, up
            // to the longest header.
            if bytes.capacity() == 0 {
                bytes = buffer::take(BufferSize::Head);
            } else if bytes.len() == bytes.capacity() {
                bytes.reserve(HEADER_BYTES_MAX);
            }
            match io.poll_read_into(cx, &mut bytes) {
                Poll::Ready(Ok(0)) => {
                    let end = io::Error::from(io::ErrorKind::UnexpectedEof);
                    return Poll::Ready(Err(ProxyProtocolServiceError::Io(end)));
                }
                Poll::Ready(Err(error)) => {
                    return Poll::Ready(Err(ProxyProtocolServiceError::Io(error)));
                }
                Poll::Ready(Ok(_)) => {}
                Poll::Pending => break,
            }
            match parse(&bytes) {
                Ok(None) => {}
                Ok(Some(found)) => return Poll::Ready(Ok(found)),
                Err(error) => return Poll::Ready(Err(ProxyProtocolServiceError::Header(error))),
            }
        }
        if !is_hastened && handle.poll_leaving(cx).is_ready() {
            if handle.is_evicted() {
                return Poll::Ready(Err(ProxyProtocolServiceError::HeaderTimeout));
            }
            is_hastened = true;
            deadline.arm(NEWCOMER_GRACE);
        }
        deadline.poll_elapsed(cx).map(|()| Err(too_slow()))
    })
    .await;
    handle.mark_busy();
    let (header, length) = header?;
    bytes.advance(length);
    put_back(io, bytes);
    Ok(header)
}

/// Most often nothing came behind the header, and the buffer serves somebody else.
fn put_back(io: &mut Io, bytes: BytesMut) {
    if bytes.is_empty() {
        buffer::give(bytes, BufferSize::Head);
    } else {
        io.set_prefix(bytes.freeze());
    }
}

#[cold]
fn too_slow<E>() -> ProxyProtocolServiceError<E> {
    limit::hit(Limit::ProxyHeaderTimeout);
    ProxyProtocolServiceError::HeaderTimeout
}

/// Makes a [`ProxyProtocolService`] around what `inner` makes.
#[derive(Clone, Debug)]
pub struct ProxyProtocolFactory<F> {
    mode: ProxyProtocolMode,
    inner: F,
}

impl<F> ProxyProtocolFactory<F> {
    /// A factory for `mode` around `inner`.
    pub const fn new(mode: ProxyProtocolMode, inner: F) -> Self {
        Self { mode, inner }
    }
}

impl<F: AsyncMakeService> AsyncMakeService for ProxyProtocolFactory<F> {
    type Service = ProxyProtocolService<F::Service>;
    type Error = F::Error;

    async fn make_via_ref(
        &self,
        old: Option<&Self::Service>,
    ) -> Result<Self::Service, Self::Error> {
        let inner = self.inner.make_via_ref(old.map(|old| &old.inner)).await?;
        Ok(ProxyProtocolService {
            mode: Rc::new(self.mode.clone()),
            inner,
        })
    }
}

#[cfg(test)]
mod tests;
