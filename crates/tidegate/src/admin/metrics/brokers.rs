//! Figures of MQTT brokers: what they hold, what passed, what was dropped or refused and by
//! which limit. The counts are those that each worker keeps for itself anyway, told when
//! they are asked for.

use std::collections::BTreeMap;
use std::fmt;

use tidegate_mqtt::broker::counters::Counters;
use tidegate_mqtt::server::operator::{BrokerFigures, CoreFigures};

use super::Page;

/// The figures of every broker, by server name.
pub(in crate::admin) type Brokers = BTreeMap<String, BrokerFigures>;

/// A count that is one line of a family, and the line's name.
type Line = (&'static str, &'static str);

/// Messages that somebody should have had and has not.
const DROPPED: [Line; 4] = [
    ("queue_messages_dropped", "queue_messages"),
    ("queue_bytes_dropped", "queue_bytes"),
    ("messages_expired", "expired"),
    ("packets_oversize", "packet_bytes"),
];

/// Messages a client was not allowed to publish.
const REFUSED: [Line; 2] = [
    ("publishes_denied", "denied"),
    ("publishes_unstored", "store_full"),
];

/// Limits whose counts are not named `LIMIT_exceeded`.
const LIMITS: [Line; 4] = [
    ("queue_messages_dropped", "queue_messages"),
    ("queue_bytes_dropped", "queue_bytes"),
    ("packets_oversize", "client_packet_bytes"),
    ("keep_alive_timeouts", "keep_alive"),
];

/// How the count of a limit that bit ends.
const EXCEEDED: &str = "_exceeded";

pub(super) fn write(brokers: &Brokers, page: &mut Page<'_>) -> fmt::Result {
    if brokers.is_empty() {
        return Ok(());
    }
    held(brokers, page)?;
    passed(brokers, page)?;
    lost(brokers, page)?;
    refused(brokers, page)?;
    others(brokers, page)
}

/// What there is now.
fn held(brokers: &Brokers, page: &mut Page<'_>) -> fmt::Result {
    type Gauge = (&'static str, &'static str, fn(&CoreFigures) -> u64);
    const GAUGES: [Gauge; 6] = [
        ("connections", "Clients that are connected", |it| {
            it.connections
        }),
        ("sessions", "Sessions, connected or not", |it| it.sessions),
        ("subscriptions", "Subscriptions of all sessions", |it| {
            it.subscriptions
        }),
        (
            "queued_messages",
            "Messages that wait to be sent to a client",
            |it| it.queued,
        ),
        ("queued_bytes", "Bytes of messages that wait", |it| {
            it.queued_bytes
        }),
        (
            "inflight_messages",
            "Messages sent and not acknowledged",
            |it| it.inflight,
        ),
    ];
    for (name, help, figure) in GAUGES {
        let lines = brokers.iter().map(|(server, figures)| {
            let value = gauge(figures.sum(figure));
            ([("server", server.as_str())], value)
        });
        page.gauges(&family(name), help, lines)?;
    }
    let retained = |figure: fn((u64, u64)) -> u64| {
        brokers.iter().map(move |(server, figures)| {
            let value = gauge(figure(figures.retained()));
            ([("server", server.as_str())], value)
        })
    };
    let most = brokers.iter().map(|(server, figures)| {
        let value = gauge(figures.connections_max);
        ([("server", server.as_str())], value)
    });
    page.gauges(
        "tidegate_mqtt_connections_max",
        "The most clients that have been connected at one time",
        most,
    )?;
    page.gauges(
        "tidegate_mqtt_retained_messages",
        "Retained messages",
        retained(|(count, _)| count),
    )?;
    page.gauges(
        "tidegate_mqtt_retained_bytes",
        "Bytes of retained messages and their topics",
        retained(|(_, bytes)| bytes),
    )
}

/// Counts beyond what a float holds exactly are not gauges.
fn gauge(value: u64) -> f64 {
    value as f64
}

/// PUBLISH packets and what was in them.
fn passed(brokers: &Brokers, page: &mut Page<'_>) -> fmt::Result {
    let by_quality = |split: fn(&Counters) -> [u64; 3]| {
        brokers.iter().flat_map(move |(server, figures)| {
            let counts = split(&figures.counters);
            let lines = ["0", "1", "2"].into_iter().zip(counts);
            lines.map(move |(qos, count)| ([("server", server.as_str()), ("qos", qos)], count))
        })
    };
    page.counters(
        "tidegate_mqtt_publishes_received",
        "PUBLISH packets received, by QoS",
        by_quality(|it| {
            let (one, two) = (it.publishes_received_qos1, it.publishes_received_qos2);
            [it.publishes_received.saturating_sub(one + two), one, two]
        }),
    )?;
    page.counters(
        "tidegate_mqtt_publishes_sent",
        "PUBLISH packets sent, by QoS",
        by_quality(|it| {
            let (one, two) = (it.publishes_sent_qos1, it.publishes_sent_qos2);
            [it.publishes_sent.saturating_sub(one + two), one, two]
        }),
    )?;
    let bytes = |count: fn(&BrokerFigures) -> u64| {
        let all = brokers.iter();
        all.map(move |(server, figures)| ([("server", server.as_str())], count(figures)))
    };
    page.counters(
        "tidegate_mqtt_bytes_received",
        "Bytes of MQTT packets received",
        bytes(|it| it.traffic.received_bytes),
    )?;
    page.counters(
        "tidegate_mqtt_bytes_sent",
        "Bytes of MQTT packets sent",
        bytes(|it| it.traffic.sent_bytes),
    )?;
    let dropped = brokers.iter().map(|(server, figures)| {
        let labels = [("server", server.as_str())];
        (labels, figures.crossings_dropped)
    });
    page.counters(
        "tidegate_mqtt_crossings_dropped",
        "QoS 0 messages dropped because another worker was too slow for them",
        dropped,
    )?;
    let crossings = brokers.iter().map(|(server, figures)| {
        let labels = [("server", server.as_str())];
        (labels, figures.counters.forwarded)
    });
    page.counters(
        "tidegate_mqtt_crossings",
        "Messages passed from one worker to another",
        crossings,
    )
}

fn lost(brokers: &Brokers, page: &mut Page<'_>) -> fmt::Result {
    page.counters(
        "tidegate_mqtt_messages_dropped",
        "Messages that a subscriber did not get, by cause",
        lines(brokers, "cause", &DROPPED),
    )?;
    page.counters(
        "tidegate_mqtt_publishes_refused",
        "PUBLISH packets refused, by cause; limits count theirs themselves",
        lines(brokers, "cause", &REFUSED),
    )?;
    let limits: Vec<Line> = Counters::descriptions()
        .filter_map(|(name, _)| Some((name, name.strip_suffix(EXCEEDED)?)))
        .chain(LIMITS)
        .collect();
    page.counters(
        "tidegate_mqtt_limit_hits",
        "How often each limit of the broker bit",
        lines(brokers, "limit", &limits),
    )
}

/// Some counts as lines of one family.
fn lines<'b>(
    brokers: &'b Brokers,
    label: &'b str,
    names: &'b [Line],
) -> impl Iterator<Item = ([(&'b str, &'b str); 2], u64)> {
    brokers.iter().flat_map(move |(server, figures)| {
        let counts: BTreeMap<_, _> = figures.counters.iter().collect();
        names.iter().filter_map(move |(name, shown)| {
            let count = *counts.get(name)?;
            Some(([("server", server.as_str()), (label, *shown)], count))
        })
    })
}

fn refused(brokers: &Brokers, page: &mut Page<'_>) -> fmt::Result {
    let lines = brokers.iter().flat_map(|(server, figures)| {
        figures.refused.iter().map(|(reason, count)| {
            let reason = reason.name();
            ([("server", server.as_str()), ("reason", reason)], *count)
        })
    });
    page.counters(
        "tidegate_mqtt_connects_refused",
        "Clients refused in CONNACK, by the reason they were told",
        lines,
    )?;
    let lines = brokers.iter().map(|(server, figures)| {
        let labels = [("server", server.as_str())];
        (labels, figures.authentication_failures())
    });
    page.counters(
        "tidegate_mqtt_authentication_failures",
        "Clients refused because they did not prove who they are, or may not come in",
        lines,
    )
}

/// Every count that is in none of the families above, each as its own.
fn others(brokers: &Brokers, page: &mut Page<'_>) -> fmt::Result {
    for (name, help) in Counters::descriptions().filter(|(name, _)| !is_shown(name)) {
        let lines = brokers.iter().map(|(server, figures)| {
            let mut counts = figures.counters.iter();
            let count = counts.find(|(known, _)| *known == name);
            let count = count.map_or(0, |(_, count)| count);
            ([("server", server.as_str())], count)
        });
        page.counters(&family(name), help.trim_end_matches('.'), lines)?;
    }
    Ok(())
}

fn is_shown(name: &str) -> bool {
    let mut named = DROPPED.iter().chain(&REFUSED).chain(&LIMITS);
    name.ends_with(EXCEEDED)
        || name.starts_with("publishes_received")
        || name.starts_with("publishes_sent")
        || matches!(name, "connects_refused" | "forwarded")
        || named.any(|(known, _)| *known == name)
}

fn family(name: &str) -> String {
    format!("tidegate_mqtt_{name}")
}
