//! Tidegate's services among tower's, and the other way round.
//!
//! | you have | and want | use |
//! |---|---|---|
//! | a `tower::Service` | a [`Service`](tidegate_service::Service) | [`FromTower`] |
//! | a [`Service`](tidegate_service::Service) | a `tower::Service` | [`AsTower`] |
//! | a `tower::Layer` | a layer of a [`FactoryStack`](tidegate_service::FactoryStack) | [`tower_layer()`] |
//! | the same, for `http` requests (tower-http) | a layer around HTTP handlers | `http::http_layer`, with the feature `http` |
//! | what answers `http` requests (an `axum::Router`) | the last handler of an HTTP chain | `http::TowerHandler`, with the feature `http` |
//! | a `hyper::service::Service` | a [`Service`](tidegate_service::Service), and back | `hyper`, with the feature `hyper` |
//!
//! # Back-pressure
//!
//! A tower service says by `poll_ready` when it takes a request; one of Tidegate's is always
//! ready, and a call takes as long as it takes. So readiness is awaited within a call, with the
//! request in hand, and whoever calls holds back what it has not called with yet.
//!
//! # Threads
//!
//! Services stay on their worker and need not be `Send`; nor are the futures of [`AsTower`].
//! Layers that start tasks on other threads (tower's `Buffer`, `SpawnReady`) ask for `Send` and
//! cannot be used around it.

#![forbid(unsafe_code)]

mod as_tower;
mod from_tower;
#[cfg(feature = "http")]
pub mod http;
#[cfg(feature = "hyper")]
pub mod hyper;
mod layer;

pub use as_tower::{AsTower, LocalFuture};
pub use from_tower::FromTower;
pub use layer::{Layered, TowerLayer, TowerLayerFactory, tower_layer};

/// The error type of tower's own layers.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
