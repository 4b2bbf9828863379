//! Records from keys and values, which may have come to harm.

use std::rc::Rc;

use bytes::Bytes;

use super::encode::{
    AS_PUBLISHED, CHECKSUM_BYTES, DELIVERY, EXPIRES, FORMAT, NO_LOCAL, RELEASED, RETAIN, checksum,
};
use super::fields::{Fields, RecordError};
use super::key::Table;
use crate::broker::durable::{
    MessageNumber, Record, SessionNumber, StoredDelivery, StoredSession, StoredSubscription,
    StoredWill,
};
use crate::broker::retained::Stamp;
use crate::broker::shard::{SHARDS_MAX, ShardId};
use crate::broker::{CrossingNumber, Message, MessageParts, Position, RunId, SharedName};
use crate::codec::{
    MessageProperties, PacketIdentifier, QualityOfService, SubscriptionIdentifier, TopicFilter,
    TopicName,
};

/// Reads back what [`Batch`](super::Batch) wrote under `key`, and whose it is.
///
/// # Errors
///
/// When it is not exactly that.
pub fn decode(key: Bytes, value: Bytes) -> Result<(ShardId, Record), RecordError> {
    let fields = value
        .len()
        .checked_sub(CHECKSUM_BYTES)
        .ok_or(RecordError::Short)?;
    if checksum(&key, &value[..fields]) != value[fields..] {
        return Err(RecordError::Checksum);
    }
    let (mut key, mut value) = (Fields::new(key), Fields::new(value.slice(..fields)));
    match value.u8()? {
        FORMAT => {}
        other => return Err(RecordError::Format(other)),
    }
    let shard = ShardId(key.u8()?);
    let table = Table::from_byte(key.u8()?)?;
    let record = record(table, &mut key, &mut value)?;
    key.end()?;
    value.end()?;
    Ok((shard, record))
}

fn record(table: Table, key: &mut Fields, value: &mut Fields) -> Result<Record, RecordError> {
    Ok(match table {
        Table::Session => Record::SessionPut(Box::new(session(session_number(key)?, value)?)),
        Table::Subscription => {
            let session = session_number(key)?;
            // The value has the filter whole.
            key.rest();
            Record::SubscriptionPut(Box::new(subscription(session, value)?))
        }
        Table::Message => {
            let number = MessageNumber(key.u64()?);
            Record::MessagePut(number, Rc::new(message(value)?))
        }
        Table::Queue => {
            let (session, position) = (session_number(key)?, Position(key.u64()?));
            match value.u8()? {
                RELEASED => Record::QueueReleased(session, position),
                DELIVERY => Record::QueuePut(delivery(session, position, value)?),
                _ => return Err(RecordError::Value("entry of a queue")),
            }
        }
        Table::Sent => Record::QueueSent(session_number(key)?, Position(value.u64()?)),
        Table::Received => {
            let session = session_number(key)?;
            let id = PacketIdentifier::new(key.u16()?);
            let id = id.ok_or(RecordError::Value("packet identifier"))?;
            Record::ReceivedPut(session, id)
        }
        Table::Retained => {
            key.rest();
            let stamp = Stamp {
                at: value.u64()?,
                shard: value.u8()?,
            };
            Record::RetainedPut(stamp, Rc::new(message(value)?))
        }
        Table::Taken => {
            let (from, run) = (ShardId(key.u8()?), RunId(key.u64()?));
            if from.0 >= SHARDS_MAX {
                return Err(RecordError::Value("core"));
            }
            Record::TakenPut(from, run, CrossingNumber(value.u64()?))
        }
    })
}

fn session_number(key: &mut Fields) -> Result<SessionNumber, RecordError> {
    key.u64().map(SessionNumber)
}

fn session(number: SessionNumber, value: &mut Fields) -> Result<StoredSession, RecordError> {
    Ok(StoredSession {
        number,
        client_id: value.text()?,
        expiry_secs: value.u32()?,
        ends_at: value.option(Fields::moment)?,
        will: value.option(will)?,
    })
}

fn will(value: &mut Fields) -> Result<StoredWill, RecordError> {
    Ok(StoredWill {
        delay_secs: value.u32()?,
        expiry_secs: value.option(Fields::u32)?,
        due: value.option(Fields::moment)?,
        message: Rc::new(message(value)?),
    })
}

fn subscription(
    session: SessionNumber,
    value: &mut Fields,
) -> Result<StoredSubscription, RecordError> {
    let flags = value.u8()?;
    let identifier = value.option(identifier)?;
    let filter = value.text()?;
    if TopicFilter::try_from(&*filter).is_err() {
        return Err(RecordError::Value("topic filter"));
    }
    Ok(StoredSubscription {
        session,
        filter,
        qos: quality(flags, NO_LOCAL | AS_PUBLISHED)?,
        no_local: flags & NO_LOCAL != 0,
        retain_as_published: flags & AS_PUBLISHED != 0,
        identifier,
    })
}

fn identifier(value: &mut Fields) -> Result<SubscriptionIdentifier, RecordError> {
    let identifier = SubscriptionIdentifier::new(value.u32()?);
    identifier.ok_or(RecordError::Value("subscription identifier"))
}

/// The QoS in `flags`, in which nothing but `known` may be set beside it.
fn quality(flags: u8, known: u8) -> Result<QualityOfService, RecordError> {
    QualityOfService::from_bits(flags & !known).ok_or(RecordError::Value("QoS"))
}

fn message(value: &mut Fields) -> Result<Message, RecordError> {
    let flags = value.u8()?;
    let expires_at = match flags & EXPIRES {
        0 => None,
        _ => Some(value.moment()?),
    };
    let topic = TopicName::new(value.bytes()?).map_err(|_| RecordError::Value("topic name"))?;
    let properties = MessageProperties::checked(value.bytes()?);
    Ok(Message::new(MessageParts {
        topic,
        properties: properties.map_err(|_| RecordError::Value("set of properties"))?,
        payload: value.rest(),
        qos: quality(flags, RETAIN | EXPIRES)?,
        retain: flags & RETAIN != 0,
        expires_at,
    }))
}

fn delivery(
    session: SessionNumber,
    position: Position,
    value: &mut Fields,
) -> Result<StoredDelivery, RecordError> {
    let message = MessageNumber(value.u64()?);
    let flags = value.u8()?;
    let count = value.u32()?;
    let identifiers = (0..count)
        .map(|_| identifier(value))
        .collect::<Result<_, _>>()?;
    let shared = value.option(|value| {
        Ok(SharedName {
            filter: value.text()?,
            name: value.text()?,
        })
    })?;
    Ok(StoredDelivery {
        session,
        position,
        message,
        qos: quality(flags, RETAIN)?,
        retain: flags & RETAIN != 0,
        identifiers,
        shared,
    })
}
