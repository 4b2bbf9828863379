//! Figures of what brokers keep their state in.

use std::fmt;

use tidegate_mqtt::store::StoreCounts;

use super::{Brokers, Page};

pub(super) fn write(brokers: &Brokers, page: &mut Page<'_>) -> fmt::Result {
    if brokers.values().all(|broker| broker.store.is_none()) {
        return Ok(());
    }
    type Counter = (&'static str, &'static str, fn(&StoreCounts) -> u64);
    const COUNTERS: [Counter; 7] = [
        (
            "commits",
            "Commits of workers that the store has written",
            |it| it.commits,
        ),
        (
            "writes",
            "Writes in which the store made its commits",
            |it| it.groups,
        ),
        ("written_bytes", "Bytes of commits written", |it| {
            it.written_bytes
        }),
        ("failures", "Writes that failed", |it| it.failures),
        (
            "damaged_bytes",
            "Bytes of journals that were damaged and set aside",
            |it| it.damaged_bytes,
        ),
        (
            "records_set_aside",
            "Records that were damaged and set aside",
            |it| it.records_set_aside,
        ),
        (
            "databases_set_aside",
            "Databases that could not be read and were set aside",
            |it| it.databases_set_aside,
        ),
    ];
    for (name, help, count) in COUNTERS {
        page.counters(
            &family(name),
            help,
            of_each(brokers).map(|(labels, counts)| (labels, count(counts))),
        )?;
    }
    page.gauges(
        &family("waiting_commits"),
        "Commits that the store has been handed and has not written",
        of_each(brokers).map(|(labels, counts)| (labels, counts.waiting as f64)),
    )
}

/// The counts of each broker that has a store.
fn of_each(brokers: &Brokers) -> impl Iterator<Item = ([(&str, &str); 1], &StoreCounts)> {
    brokers.iter().filter_map(|(server, figures)| {
        let counts = figures.store.as_ref()?;
        Some(([("server", server.as_str())], counts))
    })
}

fn family(name: &str) -> String {
    format!("tidegate_mqtt_store_{name}")
}
