//! The broker against the normative statements of MQTT 5.0, and of MQTT 3.1.1 where that
//! differs: the real binary, over sockets.
//!
//! Each test is named after the statement it shows, `mqtt_3_1_2_7_...` for MQTT-3.1.2-7.
//! That something is not sent is shown by what must follow it: an answer to PINGREQ, or a
//! message that takes the same way.
//!
//! All tests share one broker. Topics that a test both subscribes and publishes to are its
//! own; `t` is published to by many and subscribed to by none.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../agreement/check.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod agreement;
mod chapter_1_2_formats;
mod chapter_3_10_unsubscribe;
mod chapter_3_14_disconnect;
mod chapter_3_1_bounds;
mod chapter_3_1_connect;
mod chapter_3_1_payload;
mod chapter_3_2_connect_ack;
mod chapter_3_3_publish_fields;
mod chapter_3_3_publish_flags;
mod chapter_3_4_acknowledge;
mod chapter_3_8_subscribe;
mod chapter_4_12_errors;
mod chapter_4_12_scram;
mod chapter_4_3_delivery;
mod chapter_4_4_order;
mod chapter_4_7_topics;
mod chapter_6_websocket;
mod client;
mod corners;
mod packet;
mod property;
mod request;
mod server;
mod table;
mod version_311_connect;
mod version_311_messages;
mod wire;
