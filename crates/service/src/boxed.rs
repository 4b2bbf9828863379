//! Erasure: services and factories without their concrete types.
//!
//! Used at doors, where one type must stand for every chain: a listener holds
//! a [`BoxedService`], the orchestrator dispatches an [`ArcAsyncMakeService`]
//! to every worker. Invariants: no unsafe code, a drop frees everything, and a
//! remade service finds its predecessor's state by type, erased or not.

mod factory;
mod service;

pub use factory::{ArcAsyncMakeService, ArcMakeService, BoxedAsyncMakeService, BoxedMakeService};
pub use service::{BoxServiceFactory, BoxedService};
