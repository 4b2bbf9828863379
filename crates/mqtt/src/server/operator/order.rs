//! What an operator has done: a client sent away, a message published.

use super::super::core::Core;
use super::{NoAnswer, Operator};
use crate::broker::shard::shard_of;
use crate::broker::{Input, MessageParts};
use crate::codec::ReasonCode;

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
    /// Whoever subscribes has it in a queue, or on the way to another core, when this returns.
    ///
    /// # Errors
    ///
    /// The message is not published, or not kept as a retained one.
    pub async fn publish(&self, message: MessageParts) -> Result<(), NotPublished> {
        if message.topic.is_reserved() {
            return Err(NotPublished::Reserved);
        }
        let home = shard_of(message.topic.as_str(), self.cores());
        self.ask(home, move |core| publish(core, message)).await?
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

fn publish(core: &Core, message: MessageParts) -> Result<(), NotPublished> {
    if message.topic.levels().count() > core.settings().broker.topic_levels {
        return Err(NotPublished::TooManyLevels);
    }
    let refused = || core.broker().counters().retained_exceeded;
    let before = refused();
    core.handle(Input::Publish(message));
    core.settle();
    match refused() == before {
        true => Ok(()),
        false => Err(NotPublished::NotRetained),
    }
}
