//! Cancellation that is passed down: a parent cancels its children, never the
//! other way round.
//!
//! [`Lifespan`] keeps the two ways to end apart: *drain* asks to finish what was
//! begun and take nothing new, *abort* asks to stop now. Aborting implies draining.

use tokio_util::sync::CancellationToken;

/// A signal that is given once and seen by every clone and every descendant.
#[derive(Clone, Debug, Default)]
pub struct CancelToken {
    inner: CancellationToken,
}

impl CancelToken {
    /// A token nobody has cancelled yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A token that is cancelled with this one, and can be cancelled without it.
    #[must_use]
    pub fn child(&self) -> Self {
        Self {
            inner: self.inner.child_token(),
        }
    }

    /// Cancels this token, its clones and its descendants. Doing it again changes nothing.
    pub fn cancel(&self) {
        self.inner.cancel();
    }

    /// Whether the token has been cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.inner.is_cancelled()
    }

    /// Waits for the cancellation; ready at once when it has happened. Cancellation safe.
    pub async fn cancelled(&self) {
        self.inner.cancelled().await;
    }
}

/// The two ends of a life: *drain* and *abort*.
///
/// ```
/// use tidegate_runtime::cancel::Lifespan;
///
/// let process = Lifespan::new();
/// let site = process.child();
/// site.drain();
/// assert!(site.is_draining() && !process.is_draining());
/// process.abort();
/// assert!(site.is_aborted());
/// ```
#[derive(Clone, Debug, Default)]
pub struct Lifespan {
    drain: CancelToken,
    abort: CancelToken,
}

impl Lifespan {
    /// A life that nobody has ended yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A life within this one: it ends at the latest when this one does.
    #[must_use]
    pub fn child(&self) -> Self {
        Self {
            drain: self.drain.child(),
            abort: self.abort.child(),
        }
    }

    /// Asks to take nothing new and to finish what was begun.
    pub fn drain(&self) {
        self.drain.cancel();
    }

    /// Asks to stop now.
    pub fn abort(&self) {
        self.abort.cancel();
        self.drain.cancel();
    }

    /// Whether draining, or aborting, was asked for.
    pub fn is_draining(&self) -> bool {
        self.drain.is_cancelled()
    }

    /// Whether aborting was asked for.
    pub fn is_aborted(&self) -> bool {
        self.abort.is_cancelled()
    }

    /// Waits until draining, or aborting, is asked for. Cancellation safe.
    pub async fn draining(&self) {
        self.drain.cancelled().await;
    }

    /// Waits until aborting is asked for. Cancellation safe.
    pub async fn aborted(&self) {
        self.abort.cancelled().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draining_a_parent_drains_its_children_and_aborts_nobody() {
        let parent = Lifespan::new();
        let grandchild = parent.child().child();
        parent.drain();
        assert!(grandchild.is_draining());
        assert!(!grandchild.is_aborted());
    }

    #[test]
    fn aborting_implies_draining_below_and_leaves_the_parent_alone() {
        let parent = Lifespan::new();
        let child = parent.child();
        let grandchild = child.child();
        child.abort();
        assert!(child.is_draining() && child.is_aborted());
        assert!(grandchild.is_draining() && grandchild.is_aborted());
        assert!(!parent.is_draining() && !parent.is_aborted());
    }

    #[test]
    fn a_child_born_after_the_end_is_over() {
        let parent = Lifespan::new();
        parent.abort();
        assert!(parent.child().is_aborted());
    }
}
