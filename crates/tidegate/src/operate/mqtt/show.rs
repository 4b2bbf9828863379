//! Lists for people.

use std::fmt::Write;

use serde_json::Value;

use super::super::show::{duration, table, word};
use crate::cli::{OperateArgs, Presentation};

/// A list as it is wanted: a table and what is left out, or JSON.
pub(super) fn list(
    operate: &OperateArgs,
    listed: &Value,
    shown: impl Fn(&[Value]) -> String,
) -> String {
    if operate.presentation() == Presentation::Json {
        return format!("{listed:#}\n");
    }
    let entries = listed["entries"].as_array();
    let mut out = shown(entries.map_or(&[], Vec::as_slice));
    if let Some(next) = listed["next"].as_str() {
        // Writing to a string cannot fail.
        let _ = writeln!(out, "there is more: --from {next}");
    }
    out
}

pub(super) fn clients(entries: &[Value]) -> String {
    let mut rows = vec![
        [
            "CLIENT",
            "USER",
            "ADDRESS",
            "MQTT",
            "SUBSCRIPTIONS",
            "QUEUED",
            "INFLIGHT",
            "WORKER",
        ]
        .map(str::to_owned),
    ];
    for entry in entries {
        rows.push(
            [
                "client",
                "user",
                "address",
                "version",
                "subscriptions",
                "queued",
                "inflight",
                "worker",
            ]
            .map(|key| word(&entry[key])),
        );
    }
    table(&rows)
}

pub(super) fn sessions(entries: &[Value]) -> String {
    let mut rows = vec![
        [
            "CLIENT",
            "CONNECTED",
            "ENDS IN",
            "SUBSCRIPTIONS",
            "QUEUED",
            "BYTES",
            "INFLIGHT",
            "WORKER",
        ]
        .map(str::to_owned),
    ];
    for entry in entries {
        let ends = entry["ends_in_seconds"].as_u64().map(duration);
        rows.push([
            word(&entry["client"]),
            match entry["connected"].as_bool() {
                Some(true) => "yes".to_owned(),
                _ => "no".to_owned(),
            },
            ends.unwrap_or_else(|| "-".to_owned()),
            word(&entry["subscriptions"]),
            word(&entry["queued"]),
            word(&entry["queued_bytes"]),
            word(&entry["inflight"]),
            word(&entry["worker"]),
        ]);
    }
    table(&rows)
}

pub(super) fn subscriptions(entries: &[Value]) -> String {
    let mut rows = vec![["CLIENT", "QOS", "FILTER"].map(str::to_owned)];
    for entry in entries {
        rows.push(["client", "qos", "filter"].map(|key| word(&entry[key])));
    }
    table(&rows)
}

pub(super) fn retained(entries: &[Value]) -> String {
    let mut rows = vec![["BYTES", "TOPIC"].map(str::to_owned)];
    for entry in entries {
        rows.push(["payload_bytes", "topic"].map(|key| word(&entry[key])));
    }
    table(&rows)
}
