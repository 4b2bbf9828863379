//! Futures made where they stay.

use std::pin::Pin;

/// Boxes the future that `make` gives, without moving it there.
///
/// `Box::pin(future)` makes the future on the stack and copies all of it, which for
/// the future of a request is kilobytes that hold nothing yet. Here the memory comes
/// first, so that only what the future begins with is written.
#[inline]
pub fn boxed<F: Future>(make: impl FnOnce() -> F) -> Pin<Box<F>> {
    Box::into_pin(Box::write(Box::new_uninit(), make()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::local;

    #[test]
    fn it_runs_like_any_other() {
        let answer = 42;
        assert_eq!(local::block_on(boxed(|| async move { answer })), 42);
    }
}
