//! Services that are often wanted, ready made.

mod broker;
mod daemon;
mod group;
mod pool;
mod server;
mod stream;
mod wait_all;

pub use broker::{Broker, broker_service};
pub use daemon::daemon;
pub use group::group;
pub use pool::{Drain, OnFault, PoolHandle, PoolOptions, observed_pool, worker_pool};
pub use server::server_service;
pub use stream::process_stream;
pub use wait_all::{Operation, operation, wait_all};
