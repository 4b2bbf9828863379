//! A route of an HTTP server that leads into a broker.

use std::sync::Arc;

use http::StatusCode;
use tidegate_gateway::site::RouteHandler;
use tidegate_http::websocket::Handshake;
use tidegate_http::{Body, Exchange, Response};
use tidegate_mqtt::server::{self, Entrance};
use tidegate_runtime::panic::contain;

/// Switches requests to MQTT over WebSocket.
#[derive(Debug)]
pub(super) struct BrokerRoute {
    entrance: Entrance,
    handshake: Handshake,
}

impl BrokerRoute {
    /// A route into the broker whose cores meet in `exchange`.
    pub(super) const fn new(exchange: Arc<server::Exchange>, handshake: Handshake) -> Self {
        Self {
            entrance: Entrance::new(exchange),
            handshake,
        }
    }
}

impl RouteHandler for BrokerRoute {
    fn answer(&self, exchange: &Exchange) -> Response {
        // Not there yet, when the whole process has only begun.
        let Some(entrance) = self.entrance.here() else {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
            return response;
        };
        let peer = exchange.context.connection().peer;
        self.handshake.answer(exchange, move |accepted| {
            contain(peer, entrance.serve(accepted))
        })
    }
}
