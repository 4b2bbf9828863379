//! What answers `http` requests in tower's way, in an HTTP chain of Tidegate's.
//!
//! [`TowerHandler`] is the end of a chain: an `axum::Router`, or anything of that shape.
//! [`http_layer`] is a layer within one: those of tower-http.

mod bodies;
mod connection;
mod handler;
mod layer;
mod request_body;

use tidegate_http::{Fault, FaultKind};

pub use self::connection::Connection;
pub use self::handler::{TowerHandler, TowerHandlerFactory};
pub use self::layer::{HttpLayer, HttpLayerFactory, HttpLayered, WithinLayer, http_layer};
pub use self::request_body::RequestBody;
use crate::BoxError;

/// The fault behind an error of tower's: a [`Fault`] that came through its layers as it was,
/// and anything else as a defect of ours, which is answered with 500.
///
/// ```
/// use tidegate_http::{Fault, FaultKind};
/// use tidegate_tower::http::fault;
///
/// let late = Fault::new(FaultKind::UpstreamTimeout, "api");
/// assert_eq!(fault(late.into()).kind(), FaultKind::UpstreamTimeout);
/// assert_eq!(fault("out of luck".into()).kind(), FaultKind::Internal);
/// ```
pub fn fault(error: BoxError) -> Fault {
    let error = match error.downcast::<Fault>() {
        Ok(fault) => return *fault,
        Err(error) => error,
    };
    // A body's error arrives in a wrapper of the framework's, which cannot be taken apart.
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(fault) = error.downcast_ref::<Fault>() {
            return Fault::new(fault.kind(), fault.detail().to_owned());
        }
        cause = error.source();
    }
    Fault::new(FaultKind::Internal, error.to_string())
}
