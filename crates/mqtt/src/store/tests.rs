#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod damage;
mod joints;
mod keeping;
mod records;

use std::path::Path;
use std::rc::Rc;

use bytes::Bytes;
use tokio::sync::watch;

use super::{Batch, Progress, Promise, Reports, Store, StoreError};
use crate::broker::durable::{
    MessageNumber, Record, SessionNumber, StoredDelivery, StoredSession, StoredSubscription, Token,
};
use crate::broker::shard::ShardId;
use crate::broker::time::Moment;
use crate::broker::{Message, MessageParts, Position, Restored};
use crate::codec::{MessageProperties, QualityOfService, TopicName};

/// A store as one core uses it.
struct Desk {
    store: Store,
    shard: ShardId,
    reports: Reports,
    progress: watch::Receiver<Progress>,
    token: Token,
}

impl Desk {
    fn open(directory: &Path) -> Self {
        Self::of_cores(directory, 1)
    }

    fn of_cores(directory: &Path, cores: u8) -> Self {
        let store = Store::open(directory, Promise::Os, cores).unwrap();
        let (reports, progress) = Reports::new();
        Self {
            store,
            shard: ShardId(0),
            reports,
            progress,
            token: Token(0),
        }
    }

    /// Hands a commit over.
    fn hand_over(&mut self, records: &[Record]) {
        self.token.0 += 1;
        let batch = Batch::of(self.shard, records);
        self.store.commit(self.token, batch, &self.reports).unwrap();
    }

    /// Hands a commit over and waits until it is done.
    fn commit(&mut self, records: &[Record]) {
        self.hand_over(records);
        let token = self.token;
        run(async {
            let done = self.progress.wait_for(|it| it.committed == token);
            done.await.unwrap();
        });
    }

    fn load(&self) -> Restored {
        run(self.store.load(self.shard, Moment::from_millis(0))).unwrap()
    }
}

fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(future)
}

fn session(number: u64, client_id: &str) -> Record {
    Record::SessionPut(Box::new(StoredSession {
        number: SessionNumber(number),
        client_id: client_id.into(),
        expiry_secs: 60,
        ends_at: None,
        will: None,
    }))
}

fn subscription(session: u64, filter: &str) -> Record {
    Record::SubscriptionPut(Box::new(StoredSubscription {
        session: SessionNumber(session),
        filter: filter.into(),
        qos: QualityOfService::AtLeastOnce,
        no_local: false,
        retain_as_published: false,
        identifier: None,
    }))
}

fn message(number: u64, payload: &str) -> Record {
    Record::MessagePut(MessageNumber(number), said("topic", payload))
}

fn said(topic: &str, payload: &str) -> Rc<Message> {
    Rc::new(Message::new(MessageParts {
        topic: TopicName::try_from(topic).unwrap(),
        properties: MessageProperties::new(),
        payload: Bytes::copy_from_slice(payload.as_bytes()),
        qos: QualityOfService::AtLeastOnce,
        retain: false,
        expires_at: None,
    }))
}

fn queued(session: u64, position: u64, message: u64) -> Record {
    Record::QueuePut(StoredDelivery {
        session: SessionNumber(session),
        position: Position(position),
        message: MessageNumber(message),
        qos: QualityOfService::AtLeastOnce,
        retain: false,
        identifiers: Vec::new(),
        shared: None,
    })
}
