//! Composable services, and the factories that rebuild them with their state.
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
pub use layer::{FactoryLayer, layer_fn};
pub use layered::LayeredMakeService;
pub use make::{
    AsyncMakeService, AsyncMakeServiceWrapper, MakeNow, MakeService, ReadyMakeService, Shared,
};
pub use param::{
    Param, ParamMaybe, ParamMaybeMut, ParamMaybeRef, ParamMut, ParamRef, ParamRemove, ParamSet,
    ParamTake,
};
pub use service::{Service, ServiceFn, service_fn};
pub use stack::FactoryStack;
