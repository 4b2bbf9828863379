//! Messages as they pass, for whoever runs the broker.

mod listener;

use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};
use tokio::task::spawn_local;
use tokio::time::timeout;

use self::listener::Listener;
use super::super::core::Core;
use super::{ANSWER_TIMEOUT, NoAnswer, Operator};
use crate::codec::{QualityOfService, ReasonCode, TopicFilter, TopicName};

/// Messages that wait for whoever looks; more are dropped and counted.
pub const TAP_QUEUE: usize = 1_024;

/// Bytes of payloads that wait; more are dropped and counted.
const TAP_BYTES_MAX: usize = 16 << 20;

/// Why there is nothing to be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TapError {
    /// No core answers.
    #[error(transparent)]
    NoAnswer(#[from] NoAnswer),
    /// The core lets nobody in, or does not take the filter.
    #[error("the broker refuses: {0:?}")]
    Refused(ReasonCode),
}

/// A message that passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TappedMessage {
    /// Where it was published to.
    pub topic: TopicName,
    /// What.
    pub payload: Bytes,
    /// The QoS it was published with.
    pub qos: QualityOfService,
    /// Whether it is a retained one, from before.
    pub retain: bool,
}

/// Messages that match a filter, from when it was made. What was dropped because nobody
/// took it in time is counted. Dropping it ends the subscription.
#[derive(Debug)]
pub struct Tap {
    messages: mpsc::Receiver<TappedMessage>,
    fill: Arc<Fill>,
    /// Its end is what the worker's side is told of ours.
    _tie: oneshot::Receiver<()>,
}

/// What waits for the other side, and what could not.
#[derive(Debug, Default)]
struct Fill {
    bytes: AtomicUsize,
    dropped: AtomicU64,
}

impl Tap {
    /// The next message; none once the broker has ended the subscription, or is gone.
    /// Cancellation loses nothing.
    pub async fn next(&mut self) -> Option<TappedMessage> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// As [`next`](Self::next), for hand-written futures.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<TappedMessage>> {
        self.messages.poll_recv(cx).map(|message| {
            let message = message?;
            let bytes = message.payload.len();
            self.fill.bytes.fetch_sub(bytes, Ordering::Relaxed);
            Some(message)
        })
    }

    /// How many messages did not wait because too many did.
    pub fn dropped(&self) -> u64 {
        self.fill.dropped.load(Ordering::Relaxed)
    }
}

/// The worker's end.
struct Mouth {
    messages: mpsc::Sender<TappedMessage>,
    fill: Arc<Fill>,
}

impl Mouth {
    fn put(&self, message: TappedMessage) {
        let bytes = message.payload.len();
        // Only this side adds: the sum cannot pass the limit between the two lines.
        let fits = self.fill.bytes.load(Ordering::Relaxed) + bytes <= TAP_BYTES_MAX;
        if fits {
            self.fill.bytes.fetch_add(bytes, Ordering::Relaxed);
        }
        if !fits || self.messages.try_send(message).is_err() {
            if fits {
                self.fill.bytes.fetch_sub(bytes, Ordering::Relaxed);
            }
            self.fill.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Operator {
    /// Shows what is published to topics that match `filter` from now on, and, with
    /// [`TappedMessage::retain`], the retained messages there are. It is an ordinary
    /// subscription with QoS 0 of a client inside the program, which no access rule binds
    /// and which counts as a session.
    ///
    /// # Errors
    ///
    /// No core lets it subscribe.
    pub async fn tap(&self, filter: TopicFilter) -> Result<Tap, TapError> {
        for shard in self.shards() {
            let (messages, receiver) = mpsc::channel(TAP_QUEUE);
            let fill = Arc::new(Fill::default());
            let mouth = Mouth {
                messages,
                fill: Arc::clone(&fill),
            };
            let (cut, tie) = oneshot::channel();
            let (reply, answer) = oneshot::channel();
            let filter = filter.clone();
            let seated = self.ask(shard, move |core: &Rc<Core>| {
                let listener = Listener::enter(core, filter, mouth, cut, reply);
                // It ends with the broker, or when nobody looks any more.
                drop(spawn_local(listener.run()));
            });
            if seated.await.is_err() {
                continue;
            }
            return match timeout(ANSWER_TIMEOUT, answer).await {
                Ok(Ok(ReasonCode::Success)) => Ok(Tap {
                    messages: receiver,
                    fill,
                    _tie: tie,
                }),
                Ok(Ok(reason)) => Err(TapError::Refused(reason)),
                Ok(Err(_)) | Err(_) => Err(NoAnswer.into()),
            };
        }
        Err(NoAnswer.into())
    }
}
