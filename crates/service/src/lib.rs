//! Composable services, and the factories that rebuild them with their state.
//!
//! A [`Service`] answers requests, a [`MakeService`] (or [`AsyncMakeService`])
//! makes services, and a [`FactoryLayer`] wraps one factory in another. A
//! [`FactoryStack`] builds a chain of them from a config. To update a running
//! chain, build a stack from the new config and make its service from the old
//! one: each layer finds its own predecessor and takes over what it can.
//!
//! Every other crate of the house builds on these traits. Invariants: no
//! runtime, no I/O, no threads, no dependencies, no unsafe code; nothing asks
//! for `Send` except the factories that are dispatched to other threads.
//!
//! ```
//! use std::{cell::Cell, convert::Infallible};
//! use tidegate_service::{FactoryStack, MakeService, Param, Service, layer_fn};
//!
//! /// Greets, and counts how often.
//! struct Greeter {
//!     greeting: String,
//!     calls: Cell<u32>,
//! }
//!
//! impl Service<&str> for Greeter {
//!     type Response = String;
//!     type Error = Infallible;
//!
//!     async fn call(&self, name: &str) -> Result<String, Infallible> {
//!         self.calls.set(self.calls.get() + 1);
//!         Ok(format!("{}, {name}! ({})", self.greeting, self.calls.get()))
//!     }
//! }
//!
//! struct GreeterFactory(String);
//!
//! impl MakeService for GreeterFactory {
//!     type Service = Greeter;
//!     type Error = Infallible;
//!
//!     fn make_via_ref(&self, old: Option<&Greeter>) -> Result<Greeter, Infallible> {
//!         Ok(Greeter {
//!             greeting: self.0.clone(),
//!             calls: Cell::new(old.map_or(0, |old| old.calls.get())),
//!         })
//!     }
//! }
//!
//! struct Config {
//!     greeting: &'static str,
//! }
//!
//! impl Param<String> for Config {
//!     fn param(&self) -> String {
//!         self.greeting.into()
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let layer = || layer_fn(|config: &Config, ()| GreeterFactory(config.param()));
//!
//! let stack = FactoryStack::new(Config { greeting: "Hello" }).push(layer());
//! let service = stack.make_async().await.unwrap();
//! assert_eq!(service.call("Ada").await.unwrap(), "Hello, Ada! (1)");
//!
//! // The greeting is new, the count goes on; `service` still serves meanwhile.
//! let stack = FactoryStack::new(Config { greeting: "Good morning" }).push(layer());
//! let updated = stack.make_async_via_ref(Some(&service)).await.unwrap();
//! assert_eq!(updated.call("Ada").await.unwrap(), "Good morning, Ada! (2)");
//! # }
//! ```
//!
//! `examples/state_survives_an_update.rs` is the same with two layers.

#![forbid(unsafe_code)]

pub mod boxed;
pub mod either;
pub mod layer;
pub mod layered;
pub mod make;
pub mod map_target;
pub mod param;
pub mod service;
pub mod stack;

pub use boxed::{
    ArcAsyncMakeService, ArcMakeService, BoxServiceFactory, BoxedAsyncMakeService,
    BoxedMakeService, BoxedService,
};
pub use either::Either;
pub use layer::{FactoryLayer, LayerFn, layer_fn};
pub use layered::LayeredMakeService;
pub use make::{
    AsyncMakeService, AsyncMakeServiceWrapper, MakeClone, MakeNow, MakeService, ReadyMakeService,
    Shared, make_clone,
};
pub use param::{
    Param, ParamMaybe, ParamMaybeMut, ParamMaybeRef, ParamMut, ParamRef, ParamRemove, ParamSet,
    ParamTake,
};
pub use service::{Service, ServiceFn, service_fn};
pub use stack::FactoryStack;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
