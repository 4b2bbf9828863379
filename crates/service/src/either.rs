//! [`Either`]: one of two layers, one of two factories, one of two services.
//!
//! Used when a setting decides at run time what a chain is made of.

use crate::{AsyncMakeService, FactoryLayer, LayeredMakeService, ReadyMakeService, Service};

/// One of two layers, factories or services that stand in the same place.
///
/// As a layer it applies the side it holds. As a factory it remakes a service
/// of the same side from its predecessor, and one of the other side around
/// what the predecessor wrapped (see [`LayeredMakeService`]). As a service it
/// calls the side it holds. The errors of the right side are converted into
/// those of the left one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Either<A, B> {
    /// The first one.
    Left(A),
    /// The second one.
    Right(B),
}

impl<T> Either<T, T> {
    /// The value, whichever side it is on.
    pub fn into_inner(self) -> T {
        match self {
            Self::Left(value) | Self::Right(value) => value,
        }
    }
}

impl<C, F, A, B> FactoryLayer<C, F> for Either<A, B>
where
    A: FactoryLayer<C, F, Factory: LayeredMakeService>,
    B: FactoryLayer<C, F, Factory: LayeredMakeService>,
{
    type Factory = Either<A::Factory, B::Factory>;

    fn layer(&self, config: &C, inner: F) -> Self::Factory {
        match self {
            Self::Left(layer) => Either::Left(layer.layer(config, inner)),
            Self::Right(layer) => Either::Right(layer.layer(config, inner)),
        }
    }
}

impl<Request, A, B> Service<Request> for Either<A, B>
where
    A: Service<Request>,
    B: Service<Request, Response = A::Response>,
    B::Error: Into<A::Error>,
{
    type Response = A::Response;
    type Error = A::Error;

    async fn call(&self, req: Request) -> Result<Self::Response, Self::Error> {
        match self {
            Self::Left(service) => service.call(req).await,
            Self::Right(service) => service.call(req).await.map_err(Into::into),
        }
    }
}

impl<A, B> AsyncMakeService for Either<A, B>
where
    A: LayeredMakeService,
    B: LayeredMakeService<InnerService = A::InnerService>,
    B::Error: Into<A::Error>,
{
    type Service = Either<A::Service, B::Service>;
    type Error = A::Error;

    async fn make_via_ref(
        &self,
        old: Option<&Self::Service>,
    ) -> Result<Self::Service, Self::Error> {
        match self {
            Self::Left(factory) => match old {
                None => factory.make().await,
                Some(Either::Left(old)) => factory.make_via_ref(Some(old)).await,
                Some(Either::Right(old)) => factory.make_around(B::inner_service(old)).await,
            }
            .map(Either::Left),
            Self::Right(factory) => match old {
                None => factory.make().await,
                Some(Either::Right(old)) => factory.make_via_ref(Some(old)).await,
                Some(Either::Left(old)) => factory.make_around(A::inner_service(old)).await,
            }
            .map(Either::Right)
            .map_err(Into::into),
        }
    }
}

impl<A, B> ReadyMakeService for Either<A, B>
where
    A: LayeredMakeService + ReadyMakeService,
    B: LayeredMakeService<InnerService = A::InnerService> + ReadyMakeService,
    B::Error: Into<A::Error>,
{
}

impl<A, B> LayeredMakeService for Either<A, B>
where
    A: LayeredMakeService,
    B: LayeredMakeService<InnerService = A::InnerService>,
    B::Error: Into<A::Error>,
{
    type InnerService = A::InnerService;

    fn inner_service(service: &Self::Service) -> &Self::InnerService {
        match service {
            Either::Left(service) => A::inner_service(service),
            Either::Right(service) => B::inner_service(service),
        }
    }

    async fn make_around(&self, inner: &Self::InnerService) -> Result<Self::Service, Self::Error> {
        match self {
            Self::Left(factory) => factory.make_around(inner).await.map(Either::Left),
            Self::Right(factory) => factory
                .make_around(inner)
                .await
                .map(Either::Right)
                .map_err(Into::into),
        }
    }
}
