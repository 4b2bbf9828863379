//! Answers for people.

use std::fmt::Write;

use serde_json::Value;

/// What runs, in a few lines and two tables.
pub(super) fn status(value: &Value) -> String {
    let mut out = format!(
        "tidegate {}, process {}, up {}\n",
        word(&value["build"]["version"]),
        word(&value["build"]["pid"]),
        duration(value["uptime_seconds"].as_u64().unwrap_or(0)),
    );
    let workers = value["workers"].as_array().map_or(0, Vec::len);
    let silent = value["workers"].as_array().map_or(0, |workers| {
        workers.iter().filter(|it| it["answered"] == false).count()
    });
    // Writing to a string cannot fail.
    let _ = match silent {
        0 => writeln!(out, "{workers} workers"),
        _ => writeln!(out, "{workers} workers, {silent} of them do not answer"),
    };
    let mut rows = vec![["SITE", "GENERATION", "CONNECTIONS", "LISTENS"].map(str::to_owned)];
    for (name, site) in value["sites"].as_object().into_iter().flatten() {
        let listens = site["listen"].as_array().into_iter().flatten().map(word);
        rows.push([
            name.clone(),
            word(&site["generation"]),
            word(&site["connections"]),
            listens.collect::<Vec<_>>().join(" "),
        ]);
    }
    let _ = write!(out, "\n{}", table(&rows));
    let brokers = brokers(value);
    if !brokers.is_empty() {
        let _ = write!(out, "\n{brokers}");
    }
    let _ = write!(out, "\n{}", services(value));
    out
}

/// The MQTT brokers, if there are any.
fn brokers(value: &Value) -> String {
    let header = [
        "BROKER",
        "CONNECTIONS",
        "SESSIONS",
        "SUBSCRIPTIONS",
        "RETAINED",
        "QUEUED",
        "BY WORKER",
    ];
    let mut rows = vec![header.map(str::to_owned)];
    for (name, broker) in value["brokers"].as_object().into_iter().flatten() {
        let workers = broker["workers"].as_array().into_iter().flatten();
        let by_worker = workers.map(|it| word(&it["sessions"]));
        rows.push([
            name.clone(),
            word(&broker["connections"]),
            word(&broker["sessions"]),
            word(&broker["subscriptions"]),
            word(&broker["retained"]),
            word(&broker["queued"]),
            by_worker.collect::<Vec<_>>().join(" "),
        ]);
    }
    match rows.len() {
        1 => String::new(),
        _ => table(&rows),
    }
}

/// The services of the process.
pub(super) fn services(value: &Value) -> String {
    let mut rows = vec![["SERVICE", "STATE", "RESTARTS", "LAST ERROR"].map(str::to_owned)];
    for service in value["services"].as_array().into_iter().flatten() {
        rows.push([
            word(&service["name"]),
            word(&service["state"]),
            word(&service["restarts"]),
            word(&service["last_error"]),
        ]);
    }
    table(&rows)
}

/// What became of a reload.
/// Who serves now, or why nothing has changed.
pub(super) fn upgrade(value: &Value) -> String {
    match (value["pid"].as_u64(), value["reason"].as_str()) {
        (Some(pid), _) => format!("process {pid} serves; the old one drains and stops\n"),
        (None, reason) => format!("not upgraded: {}\n", reason.unwrap_or("no reason given")),
    }
}

pub(super) fn reload(value: &Value) -> String {
    if value["outcome"] == "rejected" {
        let mistakes = value["mistakes"].as_array().into_iter().flatten();
        let mut out = "rejected; what was in force before still is:\n".to_owned();
        for mistake in mistakes {
            let _ = writeln!(out, "  {}", word(mistake));
        }
        return out;
    }
    match value["generation"].as_u64() {
        None => "nothing has changed\n".to_owned(),
        Some(generation) => {
            let sites = |key: &str| {
                let sites = value[key].as_array().into_iter().flatten().map(word);
                sites.collect::<Vec<_>>().join(" ")
            };
            format!(
                "generation {generation} after {} ms; deployed: {}; removed: {}\n",
                word(&value["duration_ms"]),
                or_none(sites("deployed")),
                or_none(sites("removed")),
            )
        }
    }
}

fn or_none(text: String) -> String {
    if text.is_empty() {
        "none".to_owned()
    } else {
        text
    }
}

pub(super) fn word(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

pub(super) fn duration(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

/// Columns as wide as their widest cell; the last one is as long as it is.
pub(super) fn table<const COLUMNS: usize>(rows: &[[String; COLUMNS]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..COLUMNS).map(width).collect();
    let mut out = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            let _ = write!(line, "{cell:<width$}  ");
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn tables_are_aligned_and_end_without_spaces() {
        let value = json!({ "services": [
            { "name": "worker-0", "state": "ready", "restarts": 2, "last_error": "it panicked" },
            { "name": "admin", "state": "ready", "restarts": 0, "last_error": null },
        ]});
        let lines: Vec<String> = services(&value).lines().map(str::to_owned).collect();
        assert_eq!(lines[0], "SERVICE   STATE  RESTARTS  LAST ERROR");
        assert_eq!(lines[1], "worker-0  ready  2         it panicked");
        assert_eq!(lines[2], "admin     ready  0         -");
    }

    #[test]
    fn a_rejected_reload_lists_its_mistakes() {
        let value = json!({ "outcome": "rejected", "mistakes": ["3:1: no", "4:2: neither"] });
        let shown = reload(&value);
        assert!(shown.contains("  3:1: no\n  4:2: neither\n"), "{shown}");
    }
}
