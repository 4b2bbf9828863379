//! Records of the MQTT store under arbitrary input: no panic, and what is accepted is
//! written as it was read.

use bytes::Bytes;
use tidegate_mqtt::store::{decode, encode, sealed};

/// What a value begins with.
const FORMAT: u8 = 1;

/// The length of a key, the key, and the fields of a value.
pub fn record(data: &[u8]) {
    let Some((&length, rest)) = data.split_first() else {
        return;
    };
    let (key, fields) = rest.split_at(usize::from(length).min(rest.len()));
    // With a checksum that is right: the fuzzer would not find it.
    let value = sealed(key, [&[FORMAT][..], fields].concat());
    let key = Bytes::copy_from_slice(key);
    let Ok((shard, record)) = decode(key.clone(), value.clone().into()) else {
        return;
    };
    let (key_again, value_again) = encode(shard, &record).expect("what is stored puts something");
    // Names are in the value; a key that says another one is not the one they are under.
    if key == key_again {
        assert_eq!(value, value_again);
    }
    decode(key_again.into(), value_again.into()).expect("what is written can be read");
}
