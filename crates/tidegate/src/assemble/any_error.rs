//! One error type for the connections of all protocols.

use std::error::Error;
use std::fmt;

use futures_util::TryFutureExt;
use tidegate_runtime::connections::Accepted;
use tidegate_service::{AsyncMakeService, Service};

/// What a connection ended with, for the log.
#[derive(Debug)]
pub struct ConnectionError(Box<dyn Error>);

impl fmt::Display for ConnectionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for ConnectionError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}

/// Why a chain could not be made, with every cause.
#[derive(Debug)]
pub struct MakeError(Box<dyn Error>);

impl fmt::Display for MakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

/// A chain whose errors are [`ConnectionError`]s.
#[derive(Debug)]
pub(crate) struct AnyError<S>(S);

impl<S> Service<Accepted> for AnyError<S>
where
    S: Service<Accepted, Response = (), Error: Error + 'static>,
{
    type Response = ();
    type Error = ConnectionError;

    // Not an `async` block: that would keep room for the connection twice, in a future that
    // lives as long as the connection does.
    fn call(&self, accepted: Accepted) -> impl Future<Output = Result<(), ConnectionError>> {
        let served = self.0.call(accepted);
        served.map_err(|error| ConnectionError(Box::new(error)))
    }
}

/// Makes an [`AnyError`] around what `inner` makes.
#[derive(Clone, Debug)]
pub(crate) struct AnyErrorFactory<F>(F);

impl<F> AnyErrorFactory<F> {
    pub(crate) const fn new(inner: F) -> Self {
        Self(inner)
    }
}

impl<F: AsyncMakeService<Error: Error + 'static>> AsyncMakeService for AnyErrorFactory<F> {
    type Service = AnyError<F::Service>;
    type Error = MakeError;

    async fn make_via_ref(
        &self,
        old: Option<&Self::Service>,
    ) -> Result<Self::Service, Self::Error> {
        let made = self.0.make_via_ref(old.map(|old| &old.0)).await;
        made.map(AnyError)
            .map_err(|error| MakeError(Box::new(error)))
    }
}
