//! Bounded queues between threads: the only way anything crosses from one worker
//! to another, or from the control thread to a worker.
//!
//! Sending never waits. A full mailbox is an answer the sender has to deal with,
//! because waiting for a slow worker would make every worker as slow as that one.

use std::task::{Context, Poll};

use tokio::sync::mpsc;

/// How many messages a mailbox holds unless told otherwise.
pub const DEFAULT_CAPACITY: usize = 128;

/// Why a message was not taken. It is given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError<T> {
    /// As many messages wait as the mailbox may hold.
    #[error("the mailbox is full")]
    Full(T),
    /// The receiver is gone or takes no more.
    #[error("the mailbox is closed")]
    Closed(T),
}

impl<T> SendError<T> {
    /// The message that was not taken.
    pub fn into_inner(self) -> T {
        match self {
            Self::Full(message) | Self::Closed(message) => message,
        }
    }
}

/// The sending side; cheap to clone.
#[derive(Debug)]
pub struct Sender<T> {
    inner: mpsc::Sender<T>,
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
        }
    }
}

impl<T> Sender<T> {
    /// Puts `message` into the mailbox, or gives it back at once.
    ///
    /// # Errors
    ///
    /// [`SendError::Full`] when the limit is reached, [`SendError::Closed`] when
    /// nobody will ever take it.
    pub fn send(&self, message: T) -> Result<(), SendError<T>> {
        self.inner.try_send(message).map_err(|error| match error {
            mpsc::error::TrySendError::Full(message) => SendError::Full(message),
            mpsc::error::TrySendError::Closed(message) => SendError::Closed(message),
        })
    }

    /// Sets a place in the mailbox aside, so that a later message cannot find it full.
    ///
    /// # Errors
    ///
    /// As for [`Self::send`].
    pub fn reserve(&self) -> Result<Reserved<T>, SendError<()>> {
        match self.inner.clone().try_reserve_owned() {
            Ok(permit) => Ok(Reserved { permit }),
            Err(mpsc::error::TrySendError::Full(_)) => Err(SendError::Full(())),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(SendError::Closed(())),
        }
    }

    /// Whether the receiver is gone.
    pub fn is_closed(&self) -> bool {
        self.inner.is_closed()
    }
}

/// A place in a mailbox, given back when dropped.
#[derive(Debug)]
pub struct Reserved<T> {
    permit: mpsc::OwnedPermit<T>,
}

impl<T> Reserved<T> {
    /// Puts `message` into the mailbox. If the receiver is gone, the message is dropped.
    pub fn send(self, message: T) {
        self.permit.send(message);
    }
}

/// The receiving side.
#[derive(Debug)]
pub struct Receiver<T> {
    inner: mpsc::Receiver<T>,
}

impl<T> Receiver<T> {
    /// The next message, or `None` once every sender is gone and the mailbox is empty.
    ///
    /// Cancellation safe: no message is lost when the future is dropped.
    pub async fn receive(&mut self) -> Option<T> {
        self.inner.recv().await
    }

    /// The next message if there is one now.
    pub fn try_receive(&mut self) -> Option<T> {
        self.inner.try_recv().ok()
    }

    /// Like [`Self::receive`], for hand-written futures.
    pub fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        self.inner.poll_recv(cx)
    }

    /// Takes no more messages; those already in the mailbox can still be received.
    pub fn close(&mut self) {
        self.inner.close();
    }
}

/// A mailbox that holds at most `capacity` messages.
///
/// # Panics
///
/// When `capacity` is zero.
pub fn channel<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    let (sender, receiver) = mpsc::channel(capacity);
    (Sender { inner: sender }, Receiver { inner: receiver })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_mailbox_gives_the_message_back() {
        let (sender, mut receiver) = channel(1);
        assert_eq!(sender.send('a'), Ok(()));
        assert_eq!(sender.send('b'), Err(SendError::Full('b')));
        assert_eq!(receiver.try_receive(), Some('a'));
        assert_eq!(sender.send('c'), Ok(()));
    }

    #[test]
    fn a_reserved_place_is_nobody_elses() {
        let (sender, mut receiver) = channel(1);
        let reserved = sender.reserve().expect("an empty mailbox has a place");
        assert_eq!(sender.send('x'), Err(SendError::Full('x')));
        reserved.send('a');
        assert_eq!(receiver.try_receive(), Some('a'));
    }

    #[test]
    fn a_closed_mailbox_still_delivers_what_it_holds() {
        let (sender, mut receiver) = channel(2);
        assert_eq!(sender.send(1), Ok(()));
        receiver.close();
        assert_eq!(sender.send(2), Err(SendError::Closed(2)));
        assert_eq!(receiver.try_receive(), Some(1));
        assert_eq!(receiver.try_receive(), None);
    }
}
