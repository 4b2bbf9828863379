//! A worker's runtime on the current thread, for tests and small programs.

use std::future::Future;

use tokio::runtime::{Builder, LocalOptions, LocalRuntime};

/// Builds the runtime every worker runs on: single-threaded, tasks need not be `Send`.
///
/// # Errors
///
/// The machine gave no epoll instance or timer.
pub fn build() -> std::io::Result<LocalRuntime> {
    Builder::new_current_thread()
        .enable_all()
        .build_local(LocalOptions::default())
}

/// Runs `future`, and the local tasks it spawns, until `future` is done.
///
/// # Panics
///
/// When the machine gives no resources for a runtime, or inside another runtime.
pub fn block_on<F: Future>(future: F) -> F::Output {
    build()
        .expect("the machine gives the descriptors of an event loop")
        .block_on(future)
}
