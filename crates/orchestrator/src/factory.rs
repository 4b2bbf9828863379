//! What can be deployed, in one word each.

use std::fmt::Display;

use tidegate_runtime::connections::Accepted;
use tidegate_runtime::listener::ListenerSet;
use tidegate_service::{AsyncMakeService, Service};

/// What serves a site's connections. Implemented by every service of that shape.
///
/// The call lasts as long as the connection. It should end soon after its handle says
/// that the connection is to leave; it is dropped at the site's drain deadline.
pub trait Chain: Service<Accepted, Response = (), Error: Display + 'static> + 'static {}

impl<S> Chain for S where S: Service<Accepted, Response = (), Error: Display + 'static> + 'static {}

/// What makes a [`Chain`] on each worker. Implemented by every factory of that shape.
pub trait ChainFactory:
    AsyncMakeService<Service: Chain, Error: Display> + Clone + Send + 'static
{
}

impl<F> ChainFactory for F where
    F: AsyncMakeService<Service: Chain, Error: Display> + Clone + Send + 'static
{
}

/// What makes a site's listeners on the control side. Implemented by every factory of that shape.
pub trait ListenerFactory:
    AsyncMakeService<Service = ListenerSet, Error: Display> + Clone + Send + 'static
{
}

impl<F> ListenerFactory for F where
    F: AsyncMakeService<Service = ListenerSet, Error: Display> + Clone + Send + 'static
{
}
