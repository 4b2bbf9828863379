//! [`FactoryStack`]: a chain of factories, built from the inside out.
//!
//! Written by whoever assembles a chain, usually one line a layer. Invariant:
//! the last layer pushed is the outermost, the first to see a request.

use std::fmt;

use crate::{
    ArcAsyncMakeService, ArcMakeService, AsyncMakeService, AsyncMakeServiceWrapper,
    BoxServiceFactory, BoxedAsyncMakeService, BoxedMakeService, FactoryLayer, MakeNow,
    ReadyMakeService, Service, Shared,
    map_target::{MapTargetFactory, MapTargetLayer},
};

/// A config and the factory built from it so far.
///
/// ```
/// use std::convert::Infallible;
/// use tidegate_service::{FactoryStack, MakeService, Service, layer_fn};
///
/// struct Greeter(&'static str);
///
/// impl Service<String> for Greeter {
///     type Response = String;
///     type Error = Infallible;
///
///     async fn call(&self, name: String) -> Result<String, Infallible> {
///         Ok(format!("{}, {name}", self.0))
///     }
/// }
///
/// struct GreeterFactory(&'static str);
///
/// impl MakeService for GreeterFactory {
///     type Service = Greeter;
///     type Error = Infallible;
///
///     fn make_via_ref(&self, _old: Option<&Greeter>) -> Result<Greeter, Infallible> {
///         Ok(Greeter(self.0))
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let greeter = FactoryStack::new("Hello")
///     .push(layer_fn(|greeting: &&'static str, ()| GreeterFactory(greeting)))
///     .push_map_target(|name: &str| name.to_uppercase())
///     .check_make_svc::<&str>()
///     .make()
///     .unwrap();
/// assert_eq!(greeter.call("Ada").await.unwrap(), "Hello, ADA");
/// # }
/// ```
#[derive(Clone)]
pub struct FactoryStack<C, F> {
    config: C,
    inner: F,
}

impl<C> FactoryStack<C, ()> {
    /// An empty stack: its factory is `()`, which makes nothing. The first
    /// layer pushed wraps it, or [`replace`](Self::replace) sets a factory.
    pub fn new(config: C) -> Self {
        Self { config, inner: () }
    }
}

// Bounds sit on the methods, not on an `impl`: only then is a missing one
// reported in the words of the trait that is missing.
impl<C, F> FactoryStack<C, F> {
    /// Puts `factory` in the place of the one built so far.
    pub fn replace<N>(self, factory: N) -> FactoryStack<C, N> {
        self.map(|_| factory)
    }

    /// Wraps the factory built so far in `layer`, which becomes the outermost.
    pub fn push<L>(self, layer: L) -> FactoryStack<C, L::Factory>
    where
        L: FactoryLayer<C, F>,
    {
        let factory = layer.layer(&self.config, self.inner);
        FactoryStack {
            config: self.config,
            inner: factory,
        }
    }

    /// Converts each request with `map` before what was pushed so far sees it.
    pub fn push_map_target<M>(self, map: M) -> FactoryStack<C, MapTargetFactory<M, F>>
    where
        M: Clone,
    {
        self.push(MapTargetLayer::new(map))
    }

    /// Erases the type of the services made, as services of `Req`.
    pub fn push_boxed_service<Req>(self) -> FactoryStack<C, BoxServiceFactory<F, Req>> {
        self.map(BoxServiceFactory::new)
    }

    /// Erases the type of the factory, which must never wait.
    pub fn push_boxed_factory(self) -> FactoryStack<C, BoxedMakeService<F::Service, F::Error>>
    where
        F: ReadyMakeService + Send + Sync + 'static,
    {
        self.map(BoxedMakeService::new)
    }

    /// Erases the type of the factory, which may wait.
    pub fn push_boxed_async_factory(
        self,
    ) -> FactoryStack<C, BoxedAsyncMakeService<F::Service, F::Error>>
    where
        F: AsyncMakeService + Send + Sync + 'static,
    {
        self.map(BoxedAsyncMakeService::new)
    }

    /// Erases the type of the factory, which must never wait, and shares it.
    pub fn into_arc_factory(self) -> FactoryStack<C, ArcMakeService<F::Service, F::Error>>
    where
        F: ReadyMakeService + Send + Sync + 'static,
    {
        self.map(ArcMakeService::new)
    }

    /// Erases the type of the factory, which may wait, and shares it.
    pub fn into_arc_async_factory(
        self,
    ) -> FactoryStack<C, ArcAsyncMakeService<F::Service, F::Error>>
    where
        F: AsyncMakeService + Send + Sync + 'static,
    {
        self.map(ArcAsyncMakeService::new)
    }

    /// Shares the factory, of either kind, without erasing its type.
    pub fn into_shared(self) -> FactoryStack<C, Shared<F>> {
        self.map(Shared::new)
    }

    /// Marks the factory as one to be awaited.
    pub fn into_async(self) -> FactoryStack<C, AsyncMakeServiceWrapper<F>>
    where
        F: AsyncMakeService,
    {
        self.map(AsyncMakeServiceWrapper)
    }

    /// Makes a factory that never waits a [`MakeService`](crate::MakeService),
    /// so that layers written for those alone can be pushed onto it.
    pub fn into_sync(self) -> FactoryStack<C, MakeNow<F>>
    where
        F: ReadyMakeService,
    {
        self.map(MakeNow)
    }

    /// Does nothing, but compiles only if what was pushed so far makes services
    /// of `Req`: pins the types midway, so that an error names the layer that
    /// caused it rather than the end of the chain.
    pub fn check_make_svc<Req>(self) -> Self
    where
        F: AsyncMakeService,
        F::Service: Service<Req>,
    {
        self
    }

    /// The config.
    pub fn config(&self) -> &C {
        &self.config
    }

    /// The factory built so far.
    pub fn factory(&self) -> &F {
        &self.inner
    }

    /// The factory, without the config.
    pub fn into_inner(self) -> F {
        self.inner
    }

    /// The config and the factory.
    pub fn into_parts(self) -> (C, F) {
        (self.config, self.inner)
    }

    /// Makes a service without a predecessor, at once.
    ///
    /// # Errors
    ///
    /// As the outermost factory.
    pub fn make(&self) -> Result<F::Service, F::Error>
    where
        F: ReadyMakeService,
    {
        self.inner.make_ready(None)
    }

    /// Makes a service at once, each layer taking over what it can from its
    /// own part of `old`.
    ///
    /// # Errors
    ///
    /// As the outermost factory.
    pub fn make_via_ref(&self, old: Option<&F::Service>) -> Result<F::Service, F::Error>
    where
        F: ReadyMakeService,
    {
        self.inner.make_ready(old)
    }

    /// Makes a service without a predecessor.
    ///
    /// # Errors
    ///
    /// As the outermost factory.
    pub async fn make_async(&self) -> Result<F::Service, F::Error>
    where
        F: AsyncMakeService,
    {
        self.inner.make().await
    }

    /// Makes a service, each layer taking over what it can from its own part
    /// of `old`.
    ///
    /// # Errors
    ///
    /// As the outermost factory.
    pub async fn make_async_via_ref(&self, old: Option<&F::Service>) -> Result<F::Service, F::Error>
    where
        F: AsyncMakeService,
    {
        self.inner.make_via_ref(old).await
    }

    fn map<N>(self, wrap: impl FnOnce(F) -> N) -> FactoryStack<C, N> {
        FactoryStack {
            config: self.config,
            inner: wrap(self.inner),
        }
    }
}

impl<C: fmt::Debug, F> fmt::Debug for FactoryStack<C, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FactoryStack")
            .field("config", &self.config)
            .field("factory", &std::any::type_name::<F>())
            .finish()
    }
}
