//! What an operator has done: a client sent away, a message published.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;

use super::super::core::Core;
use super::{NoAnswer, Operator};
use crate::broker::shard::shard_of;
use crate::broker::{Input, MessageParts, Published};
use crate::codec::ReasonCode;

/// How long a message may take to be where it is to be: a disk may be slow.
pub const PUBLISH_TIMEOUT: Duration = Duration::from_secs(10);

/// What became of a client that was to be sent away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kicked {
    /// It was connected, and is sent away.
    Kicked,
    /// It has a session and no connection.
    NotConnected,
    /// Nobody has this client id.
    Unknown,
}

/// Why a message was not published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotPublished {
    /// The core did not answer; it may have been published all the same.
    #[error(transparent)]
    NoAnswer(#[from] NoAnswer),
    /// Topics that begin with `$` are the broker's own.
    #[error("topics that begin with $ are the broker's own")]
    Reserved,
    /// The topic has more levels than the broker takes.
    #[error("the topic has more levels than the broker takes")]
    TooManyLevels,
    /// Too many are being published.
    #[error("too many messages are being published")]
    TooMany,
    /// The store cannot take it now.
    #[error("the store cannot take the message")]
    NotStored,
    /// A worker died over it; some subscribers may have it.
    #[error("a worker died over the message: publish it again")]
    Lost,
    /// Subscribers have it, but it is not retained: there are as many retained messages as
    /// may be.
    #[error("sent to subscribers and not retained: the limit of retained messages is reached")]
    NotRetained,
}

impl Operator {
    /// Sends a client away: DISCONNECT with 0x98 (Administrative action), or, in MQTT
    /// 3.1.1, the end of the connection. Its session stays as long as it said.
    ///
    /// # Errors
    ///
    /// Its core does not answer. It may be done all the same.
    pub async fn kick(&self, client_id: &str) -> Result<Kicked, NoAnswer> {
        let home = shard_of(client_id, self.cores());
        let client_id: Box<str> = client_id.into();
        self.ask(home, move |core| kick(core, client_id)).await
    }

    /// Publishes a message as the broker's own: no access rule is asked and no rate counted.
    /// When this returns whoever subscribes has it in a queue, and with QoS 1 or 2, or as a
    /// retained message, it is as durable as what the broker acknowledges to a client. That
    /// may take as long as the disk does, at most [`PUBLISH_TIMEOUT`].
    ///
    /// # Errors
    ///
    /// The message is not published, or not kept as a retained one.
    pub async fn publish(&self, message: MessageParts) -> Result<(), NotPublished> {
        if message.topic.is_reserved() {
            return Err(NotPublished::Reserved);
        }
        let home = shard_of(message.topic.as_str(), self.cores());
        let begun = self.ask(home, move |core| publish(core, message)).await??;
        match timeout(PUBLISH_TIMEOUT, begun).await {
            Ok(Ok(Published::Done)) => Ok(()),
            Ok(Ok(Published::NotStored)) => Err(NotPublished::NotStored),
            Ok(Ok(Published::Lost)) => Err(NotPublished::Lost),
            Ok(Err(_)) | Err(_) => Err(NoAnswer.into()),
        }
    }
}

fn kick(core: &Core, client_id: Box<str>) -> Kicked {
    let connection = core.broker().session(&client_id).map(|it| it.connection);
    match connection {
        None => Kicked::Unknown,
        Some(None) => Kicked::NotConnected,
        Some(Some(_)) => {
            core.handle(Input::Kick {
                client_id,
                reason: ReasonCode::AdministrativeAction,
            });
            core.settle();
            Kicked::Kicked
        }
    }
}

/// Begins; returns where it is told how it ends.
fn publish(
    core: &Core,
    message: MessageParts,
) -> Result<oneshot::Receiver<Published>, NotPublished> {
    if message.topic.levels().count() > core.settings().broker.topic_levels {
        return Err(NotPublished::TooManyLevels);
    }
    let (receipt, told) = core.receipts().open().ok_or(NotPublished::TooMany)?;
    let refused = || core.broker().counters().retained_exceeded;
    let before = refused();
    core.handle(Input::Publish { message, receipt });
    core.settle();
    match refused() == before {
        true => Ok(told),
        false => Err(NotPublished::NotRetained),
    }
}
