//! Values of records: the format's number, the fields, and a checksum over key and value.

use std::ops::Range;

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::batch::{Batch, Effect};
use super::fields::{put_bytes, put_moment, put_option, put_u32, put_u64};
use crate::broker::MessageParts;
use crate::broker::durable::{
    Record, StoredDelivery, StoredSession, StoredSubscription, StoredWill,
};
use crate::broker::shard::ShardId;

/// The format that is written. Another one is read by the program that wrote it.
pub(super) const FORMAT: u8 = 1;

/// Bytes of the checksum at the end of a value.
pub(super) const CHECKSUM_BYTES: usize = 4;

/// What marks a queue's entry.
pub(super) const RELEASED: u8 = 0;
pub(super) const DELIVERY: u8 = 1;

/// Flags of a message; its QoS is in the two lowest bits.
pub(super) const RETAIN: u8 = 0x04;
pub(super) const EXPIRES: u8 = 0x08;

/// Flags of a subscription; its QoS is in the two lowest bits.
pub(super) const NO_LOCAL: u8 = 0x04;
pub(super) const AS_PUBLISHED: u8 = 0x08;

/// Tells whether key and value are those that were written together.
pub(super) fn checksum(key: &[u8], value: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let sum = xxh3_64_with_seed(value, xxh3_64(key));
    ((sum >> 32) as u32).to_be_bytes()
}

/// Closes a value whose format and fields are given, as it is stored under `key`.
pub fn sealed(key: &[u8], mut fields: Vec<u8>) -> Vec<u8> {
    let sum = checksum(key, &fields);
    fields.extend_from_slice(&sum);
    fields
}

/// The key and the value of a record of one of the cores; none of one that drops.
pub fn encode(shard: ShardId, record: &Record) -> Option<(Vec<u8>, Vec<u8>)> {
    let batch = Batch::of(shard, std::slice::from_ref(record));
    let change = batch.changes().first()?;
    match &change.effect {
        Effect::Put(value) | Effect::PutNew(value) => Some((
            batch.slice(&change.key).to_vec(),
            batch.slice(value).to_vec(),
        )),
        Effect::Drop | Effect::DropSession(_) => None,
    }
}

/// Appends the value of a record whose key is at `key` in `out`; none if the record drops it.
pub(super) fn value(out: &mut Vec<u8>, key: Range<usize>, record: &Record) -> Option<Range<usize>> {
    let start = out.len();
    out.push(FORMAT);
    match record {
        Record::SessionPut(session) => put_session(out, session),
        Record::SubscriptionPut(subscription) => put_subscription(out, subscription),
        Record::MessagePut(_, message) => put_message(out, message.parts()),
        Record::QueuePut(delivery) => put_delivery(out, delivery),
        Record::QueueReleased(..) => out.push(RELEASED),
        Record::QueueSent(_, position) => put_u64(out, position.0),
        Record::ReceivedPut(..) => {}
        Record::TakenPut(_, _, number) => put_u64(out, number.0),
        Record::RetainedPut(stamp, message) => {
            put_u64(out, stamp.at);
            out.push(stamp.shard);
            put_message(out, message.parts());
        }
        Record::SessionDrop(_)
        | Record::SubscriptionDrop(..)
        | Record::MessageDrop(_)
        | Record::QueueDrop(..)
        | Record::ReceivedDrop(..)
        | Record::RetainedDrop(_)
        | Record::TakenDrop(..) => {
            out.truncate(start);
            return None;
        }
    }
    let sum = checksum(&out[key], &out[start..]);
    out.extend_from_slice(&sum);
    Some(start..out.len())
}

fn put_session(out: &mut Vec<u8>, session: &StoredSession) {
    put_bytes(out, session.client_id.as_bytes());
    put_u32(out, session.expiry_secs);
    put_option(out, session.ends_at, put_moment);
    put_option(out, session.will.as_ref(), put_will);
}

fn put_will(out: &mut Vec<u8>, will: &StoredWill) {
    put_u32(out, will.delay_secs);
    put_option(out, will.expiry_secs, put_u32);
    put_option(out, will.due, put_moment);
    put_message(out, will.message.parts());
}

fn put_subscription(out: &mut Vec<u8>, subscription: &StoredSubscription) {
    let no_local = if subscription.no_local { NO_LOCAL } else { 0 };
    let retain = match subscription.retain_as_published {
        true => AS_PUBLISHED,
        false => 0,
    };
    out.push(subscription.qos.to_bits() | no_local | retain);
    let identifier = subscription.identifier.map(|identifier| identifier.get());
    put_option(out, identifier, put_u32);
    put_bytes(out, subscription.filter.as_bytes());
}

/// The payload comes last and says no length.
fn put_message(out: &mut Vec<u8>, parts: &MessageParts) {
    let retain = if parts.retain { RETAIN } else { 0 };
    let expires = if parts.expires_at.is_some() {
        EXPIRES
    } else {
        0
    };
    out.push(parts.qos.to_bits() | retain | expires);
    if let Some(expires_at) = parts.expires_at {
        put_moment(out, expires_at);
    }
    put_bytes(out, parts.topic.as_bytes());
    put_bytes(out, parts.properties.as_encoded());
    out.extend_from_slice(&parts.payload);
}

fn put_delivery(out: &mut Vec<u8>, delivery: &StoredDelivery) {
    out.push(DELIVERY);
    put_u64(out, delivery.message.0);
    let retain = if delivery.retain { RETAIN } else { 0 };
    out.push(delivery.qos.to_bits() | retain);
    let count = delivery.identifiers.len();
    put_u32(
        out,
        u32::try_from(count).expect("memory does not hold as many subscriptions"),
    );
    for identifier in &delivery.identifiers {
        put_u32(out, identifier.get());
    }
    put_option(out, delivery.shared.as_ref(), |out, shared| {
        put_bytes(out, shared.filter.as_bytes());
        put_bytes(out, shared.name.as_bytes());
    });
}
