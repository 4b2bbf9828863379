//! What can be measured, by name.

use crate::origin::POST_PATH;
use anyhow::{Result, bail};

/// Something to measure every proxy with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Workload {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) kind: Kind,
}

/// How it is measured.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    /// As many requests as possible; CPU time per request.
    Throughput(Throughput),
    /// Open connections that say nothing; memory per connection.
    Idle { scheme: Scheme, connections: usize },
    /// Steady requests while the configuration changes; failed requests.
    Reload,
}

/// Requests of one kind.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Throughput {
    pub(crate) scheme: Scheme,
    pub(crate) path: &'static str,
    pub(crate) connections: u32,
    pub(crate) style: Style,
}

/// Cleartext or TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    Http,
    Https,
}

/// Who makes the requests, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// wrk, on kept connections.
    KeepAlive,
    /// wrk, a connection for each request.
    Close,
    /// wrk, POSTing 10 KiB on kept connections.
    Post,
    /// Our own TLS client, a full handshake for each request.
    Handshake,
}

const fn get(path: &'static str, connections: u32) -> Kind {
    Kind::Throughput(Throughput {
        scheme: Scheme::Http,
        path,
        connections,
        style: Style::KeepAlive,
    })
}

const fn styled(scheme: Scheme, path: &'static str, style: Style) -> Kind {
    Kind::Throughput(Throughput {
        scheme,
        path,
        connections: 64,
        style,
    })
}

const fn workload(name: &'static str, about: &'static str, kind: Kind) -> Workload {
    Workload { name, about, kind }
}

/// All there are, in the order they run.
pub(crate) const ALL: [Workload; 13] = [
    workload(
        "keepalive-5b",
        "kept connections, 5 B, 64 clients",
        get("/5b", 64),
    ),
    workload(
        "keepalive-1k",
        "kept connections, 1 KiB, 64 clients",
        get("/1k", 64),
    ),
    workload(
        "keepalive-1k-1000",
        "kept connections, 1 KiB, 1000 clients",
        get("/1k", 1000),
    ),
    workload(
        "keepalive-10k",
        "kept connections, 10 KiB, 64 clients",
        get("/10k", 64),
    ),
    workload(
        "keepalive-100k",
        "kept connections, 100 KiB, 64 clients",
        get("/100k", 64),
    ),
    workload(
        "keepalive-1m",
        "kept connections, 1 MiB, 64 clients",
        get("/1m", 64),
    ),
    workload(
        "post-10k",
        "kept connections, POST of 10 KiB, 64 clients",
        styled(Scheme::Http, POST_PATH, Style::Post),
    ),
    workload(
        "close-1k",
        "a connection for each request, 1 KiB, 64 clients",
        styled(Scheme::Http, "/1k", Style::Close),
    ),
    workload(
        "https-1k",
        "kept TLS connections, 1 KiB, 64 clients",
        styled(Scheme::Https, "/1k", Style::KeepAlive),
    ),
    workload(
        "handshake",
        "a full TLS 1.3 handshake for each request, 5 B, 64 clients",
        styled(Scheme::Https, "/5b", Style::Handshake),
    ),
    workload(
        "idle",
        "memory of idle kept connections",
        Kind::Idle {
            scheme: Scheme::Http,
            connections: 10_000,
        },
    ),
    workload(
        "idle-tls",
        "memory of idle kept TLS connections",
        Kind::Idle {
            scheme: Scheme::Https,
            connections: 2_000,
        },
    ),
    workload(
        "reload",
        "failed requests while the configuration changes",
        Kind::Reload,
    ),
];

/// Those that any of `filters` names in full, or in part if none has that name; all without filters.
pub(crate) fn select(filters: &[String]) -> Result<Vec<Workload>> {
    if filters.is_empty() {
        return Ok(ALL.to_vec());
    }
    for filter in filters {
        if !ALL
            .iter()
            .any(|workload| workload.name.contains(filter.as_str()))
        {
            let names: Vec<&str> = ALL.iter().map(|workload| workload.name).collect();
            bail!("no workload '{filter}'; there are: {}", names.join(", "));
        }
    }
    let matches = |name: &str, filter: &str| {
        let exact = ALL.iter().any(|workload| workload.name == filter);
        if exact {
            name == filter
        } else {
            name.contains(filter)
        }
    };
    let chosen = ALL
        .iter()
        .filter(|workload| filters.iter().any(|filter| matches(workload.name, filter)));
    Ok(chosen.copied().collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn names(filters: &[&str]) -> Vec<&'static str> {
        let filters: Vec<String> = filters.iter().map(|&filter| filter.to_owned()).collect();
        select(&filters)
            .unwrap()
            .iter()
            .map(|workload| workload.name)
            .collect()
    }

    #[test]
    fn a_full_name_selects_one_and_a_part_selects_many() {
        assert_eq!(names(&["keepalive-1k"]), ["keepalive-1k"]);
        assert_eq!(names(&["idle", "reload"]), ["idle", "reload"]);
        assert_eq!(names(&["1k-"]), ["keepalive-1k-1000"]);
        assert_eq!(names(&["10k"]), ["keepalive-10k", "post-10k"]);
        assert_eq!(names(&[]).len(), ALL.len());
    }

    #[test]
    fn an_unknown_name_is_an_error_that_lists_the_known() {
        let error = select(&["keepalive-2k".to_owned()])
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("keepalive-2k") && error.contains("keepalive-100k"),
            "{error}"
        );
    }
}
