//! Services that are often wanted, ready made.

mod daemon;
mod group;
mod server;
mod stream;
mod wait_all;

pub use daemon::daemon;
pub use group::group;
pub use server::server_service;
pub use stream::process_stream;
pub use wait_all::{Operation, operation, wait_all};
