//! What clients ask for, as a chain of services may see it, change it or refuse it before
//! the broker hears of it.
//!
//! A layer calls the service within it to let a request pass, with whatever it has changed,
//! and answers with a [`Refused`] by itself to refuse it. The innermost is [`Accept`].
//!
//! A request of a client waits for the one before it. While one waits, nothing more is read
//! from that client; others are not held up. Each request allocates its future; a server
//! without a chain does nothing for it.

use std::convert::Infallible;
use std::error::Error;
use std::rc::Rc;

use tidegate_service::{ArcAsyncMakeService, AsyncMakeService, BoxedService, MakeService, Service};

use crate::broker::access::Identity;
use crate::codec::{Connect, Publish, ReasonCode, Subscribe};

/// A client, as a request or a hook is told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientInfo {
    /// Client Identifier; empty in a CONNECT that leaves it to the server.
    pub id: Rc<str>,
    /// Who it has proved to be.
    pub identity: Rc<Identity>,
}

/// Something that a client asks for.
#[derive(Clone, Debug)]
pub struct MqttRequest {
    /// Who asks.
    pub client: ClientInfo,
    /// For what.
    pub packet: RequestPacket,
}

/// What can be asked for. What is changed in it is what the broker hears; but the client's
/// identifier and version, a PUBLISH's delivery and a SUBSCRIBE's packet identifier stay
/// what they were, and its filters may not become more or fewer.
#[derive(Clone, Debug)]
pub enum RequestPacket {
    /// To come in.
    Connect(Box<Connect>),
    /// To publish. The topic is there, also where the client sent an alias for it.
    Publish(Publish),
    /// To subscribe.
    Subscribe(Subscribe),
}

/// A request is refused. The client is told why in CONNACK, PUBACK, PUBREC or SUBACK; a
/// PUBLISH of QoS 0 is dropped. A reason that the answer cannot have is told as
/// [`UnspecifiedError`](ReasonCode::UnspecifiedError).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("refused: {reason:?}")]
pub struct Refused {
    /// Why.
    pub reason: ReasonCode,
}

/// A chain without its type.
pub type Handler = BoxedService<MqttRequest, MqttRequest, Refused>;

/// Makes a worker's [`Handler`] from that of the server before, which is how a chain carries
/// its state over an update.
pub type HandlerFactory = ArcAsyncMakeService<Handler, HandlerError>;

/// Why a chain could not be made.
pub type HandlerError = Box<dyn Error + Send + Sync>;

/// The end of every chain: lets pass what comes to it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Accept;

impl Service<MqttRequest> for Accept {
    type Response = MqttRequest;
    type Error = Refused;

    async fn call(&self, request: MqttRequest) -> Result<MqttRequest, Refused> {
        Ok(request)
    }
}

/// Makes [`Accept`]: what a chain's factories are stacked on.
#[derive(Clone, Copy, Debug, Default)]
pub struct AcceptFactory;

impl MakeService for AcceptFactory {
    type Service = Accept;
    type Error = Infallible;

    fn make_via_ref(&self, _: Option<&Accept>) -> Result<Accept, Infallible> {
        Ok(Accept)
    }
}

/// Takes the types from a stack of factories whose services are a chain.
///
/// ```
/// use tidegate_mqtt::codec::ReasonCode;
/// use tidegate_mqtt::server::chain::{
///     AcceptFactory, MqttRequest, Refused, RequestPacket, handler_factory,
/// };
/// use tidegate_service::{FactoryStack, MakeService, Service, layer_fn};
///
/// /// Lets nobody publish below `private/`.
/// struct Guard<S>(S);
///
/// impl<S> Service<MqttRequest> for Guard<S>
/// where
///     S: Service<MqttRequest, Response = MqttRequest, Error = Refused>,
/// {
///     type Response = MqttRequest;
///     type Error = Refused;
///
///     async fn call(&self, request: MqttRequest) -> Result<MqttRequest, Refused> {
///         if let RequestPacket::Publish(publish) = &request.packet
///             && let Some(topic) = &publish.topic
///             && topic.as_str().starts_with("private/")
///         {
///             let reason = ReasonCode::NotAuthorized;
///             return Err(Refused { reason });
///         }
///         self.0.call(request).await
///     }
/// }
///
/// struct GuardFactory<F>(F);
///
/// impl<F: MakeService> MakeService for GuardFactory<F> {
///     type Service = Guard<F::Service>;
///     type Error = F::Error;
///
///     fn make_via_ref(&self, old: Option<&Self::Service>) -> Result<Self::Service, F::Error> {
///         self.0.make_via_ref(old.map(|old| &old.0)).map(Guard)
///     }
/// }
///
/// let stack = FactoryStack::new(())
///     .replace(AcceptFactory)
///     .push(layer_fn(|&(): &(), inner| GuardFactory(inner)));
/// let factory = handler_factory(stack.into_inner());
/// # let _ = factory;
/// ```
pub fn handler_factory<F, S>(factory: F) -> HandlerFactory
where
    F: AsyncMakeService<Service = S, Error: Into<HandlerError>> + Send + Sync + 'static,
    S: Service<MqttRequest, Response = MqttRequest, Error = Refused> + 'static,
{
    ArcAsyncMakeService::erase(AnyError(factory))
}

/// Says of any error that it is one.
struct AnyError<F>(F);

impl<F: AsyncMakeService<Error: Into<HandlerError>>> AsyncMakeService for AnyError<F> {
    type Service = F::Service;
    type Error = HandlerError;

    async fn make_via_ref(&self, old: Option<&F::Service>) -> Result<F::Service, HandlerError> {
        self.0.make_via_ref(old).await.map_err(Into::into)
    }
}
