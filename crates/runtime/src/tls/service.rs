//! TLS as a service: the handshake in front of whatever serves the connection.

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;
use std::{fmt, io};

use futures_util::TryFutureExt;
use futures_util::future::Either;
use tidegate_service::{AsyncMakeService, Service};

use super::ServerTls;
use crate::connections::{Accepted, NEWCOMER_GRACE};
use crate::deadline::Deadline;
use crate::in_place;
use crate::limit::{self, Limit};

/// Whether a site's connections begin with a TLS handshake.
#[derive(Clone, Debug, Default)]
pub enum TlsMode {
    /// They do not.
    #[default]
    Plain,
    /// They do, and it must be done within `handshake_timeout`.
    Tls {
        /// The configuration shared by all workers.
        server: ServerTls,
        /// The longest a handshake may take.
        handshake_timeout: Duration,
    },
}

/// Makes the handshake, then hands the connection on.
///
/// Turning TLS on or off is a setting of this service, not another service, so
/// that the state of what is behind it survives the change.
#[derive(Debug)]
pub struct TlsService<S> {
    mode: TlsMode,
    inner: S,
}

/// Why a connection with TLS in front ended early.
#[derive(Debug)]
pub enum TlsServiceError<E> {
    /// The handshake failed or the connection broke during it.
    Handshake(io::Error),
    /// The handshake was not done in time.
    HandshakeTimeout,
    /// What the service behind says.
    Inner(E),
}

impl<E: fmt::Display> fmt::Display for TlsServiceError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Handshake(error) => write!(f, "TLS handshake failed: {error}"),
            Self::HandshakeTimeout => f.write_str("TLS handshake took too long"),
            Self::Inner(error) => error.fmt(f),
        }
    }
}

impl<E: std::error::Error> std::error::Error for TlsServiceError<E> {}

impl<S: Service<Accepted>> Service<Accepted> for TlsService<S> {
    type Response = S::Response;
    type Error = TlsServiceError<S::Error>;

    // Not an `async fn`: that would keep room for the connection twice, in a
    // future that lives as long as the connection does.
    fn call(
        &self,
        accepted: Accepted,
    ) -> impl Future<Output = Result<Self::Response, Self::Error>> {
        let TlsMode::Tls {
            server,
            handshake_timeout,
        } = &self.mode
        else {
            let serving = self.inner.call(accepted);
            return Either::Left(serving.map_err(TlsServiceError::Inner));
        };
        // Boxed: the handshake is large and gone long before the connection is.
        let handshake = in_place::future(|| handshake(server, *handshake_timeout, accepted));
        Either::Right(async move {
            let accepted = handshake.await?;
            self.inner
                .call(accepted)
                .await
                .map_err(TlsServiceError::Inner)
        })
    }
}

async fn handshake<E>(
    server: &ServerTls,
    timeout: Duration,
    accepted: Accepted,
) -> Result<Accepted, TlsServiceError<E>> {
    let deadline = Deadline::new();
    deadline.arm(timeout);
    begins(&accepted, &deadline).await?;
    let io = deadline
        .run(server.accept(accepted.io))
        .await
        .map_err(|_| too_slow())?
        .map_err(TlsServiceError::Handshake)?;
    Ok(Accepted { io, ..accepted })
}

/// Waits for the client to begin; not for long when the connection is to leave, and not at
/// all when another wants its place.
async fn begins<E>(accepted: &Accepted, deadline: &Deadline) -> Result<(), TlsServiceError<E>> {
    let handle = &accepted.handle;
    handle.mark_idle();
    let mut is_hastened = false;
    let begun = poll_fn(|cx| {
        if let Poll::Ready(ready) = accepted.io.poll_readable(cx) {
            return Poll::Ready(ready.map_err(TlsServiceError::Handshake));
        }
        if !is_hastened && handle.poll_leaving(cx).is_ready() {
            if handle.is_evicted() {
                return Poll::Ready(Err(TlsServiceError::HandshakeTimeout));
            }
            is_hastened = true;
            deadline.arm(NEWCOMER_GRACE);
        }
        let elapsed = deadline.poll_elapsed(cx);
        elapsed.map(|()| Err(too_slow()))
    })
    .await;
    handle.mark_busy();
    begun
}

#[cold]
fn too_slow<E>() -> TlsServiceError<E> {
    limit::hit(Limit::TlsHandshakeTimeout);
    TlsServiceError::HandshakeTimeout
}

/// Makes a [`TlsService`] around what `inner` makes.
#[derive(Clone, Debug)]
pub struct TlsFactory<F> {
    mode: TlsMode,
    inner: F,
}

impl<F> TlsFactory<F> {
    /// A factory for `mode` around `inner`.
    pub const fn new(mode: TlsMode, inner: F) -> Self {
        Self { mode, inner }
    }
}

impl<F: AsyncMakeService> AsyncMakeService for TlsFactory<F> {
    type Service = TlsService<F::Service>;
    type Error = F::Error;

    async fn make_via_ref(
        &self,
        old: Option<&Self::Service>,
    ) -> Result<Self::Service, Self::Error> {
        let inner = self.inner.make_via_ref(old.map(|old| &old.inner)).await?;
        Ok(TlsService {
            mode: self.mode.clone(),
            inner,
        })
    }
}
