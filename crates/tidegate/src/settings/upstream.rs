//! `[upstreams.NAME]`: the places requests are sent to.

use super::address::{ENDPOINT, EndpointAddress, parse_endpoint};
use super::findings::Finding;
use super::found::{Found, all};
use super::scalars::{Zero, parsed};
use super::section::Section;
use super::tls::UpstreamTls;
use super::{Place, site_name};
use http::HeaderValue;
use std::collections::BTreeMap;
use std::time::Duration;
use tidegate_gateway::balance::Balance;
use tidegate_gateway::ejection::EjectionPolicy;
use tidegate_gateway::health::{HealthCheck, Thresholds};
use tidegate_gateway::upstream::DEFAULT_RETRIES;
use toml::de::DeValue;

/// One upstream.
#[derive(Debug, Clone, PartialEq)]
pub struct Upstream {
    /// Its name in the settings, in logs and in metrics.
    pub name: String,
    /// Where it is defined.
    pub place: Place,
    /// How an endpoint is chosen.
    pub balance: Balance,
    /// Where it is; at least one, no two alike.
    pub endpoints: Vec<Endpoint>,
    /// TLS to every endpoint, if present.
    pub tls: Option<UpstreamTls>,
    /// Connections kept for later requests.
    pub pool: Pool,
    /// Which `Host` it is sent.
    pub host_header: HostHeader,
    /// How often a request that is safe to repeat is tried again.
    pub retries: u32,
    /// How endpoints are checked, if they are.
    pub health: Option<HealthCheck>,
    /// When endpoints that keep failing are left alone.
    pub ejection: EjectionPolicy,
}

/// One endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Where it is.
    pub address: EndpointAddress,
    /// Its share of the requests; at least 1.
    pub weight: u32,
    /// Where it is written.
    pub place: Place,
}

/// `pool`: idle connections, per worker and endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool {
    /// How many are kept; 0 keeps none.
    pub idle: usize,
    /// How long one is kept.
    pub idle_timeout: Duration,
    /// Requests on one connection before it is closed.
    pub requests: u64,
}

/// `host_header`: the `Host` an upstream is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostHeader {
    /// `"preserve"`: what the client sent.
    Preserve,
    /// `"upstream"`: host and port of the endpoint.
    Upstream,
    /// Anything else is sent as it is written.
    Literal(HeaderValue),
}

/// The most endpoints of an upstream.
const ENDPOINTS_MAX: usize = 4096;

const WEIGHT_MAX: u32 = 65_535;

const RETRIES_MAX: u32 = 10;

/// The most answers or failures in a row that can be asked for.
const THRESHOLD_MAX: u32 = 1000;

pub(super) fn read_upstreams(found: &Found<'_>) -> Option<BTreeMap<String, Upstream>> {
    let entries = found.entries("tables such as [upstreams.api]")?;
    let upstreams = all(entries.into_iter().map(|(name, span, found)| {
        let place = found.findings().place(found.span().start);
        let name = site_name(&found, name, span);
        let upstream = found.section(|section| Upstream::read(section, place));
        let (name, mut upstream) = (name?, upstream?);
        upstream.name.clone_from(&name);
        Some((name, upstream))
    }))?;
    Some(upstreams.into_iter().collect())
}

impl Upstream {
    fn read(section: &mut Section<'_>, place: Place) -> Option<Self> {
        let balances = [
            ("round_robin", Balance::RoundRobin),
            ("random", Balance::Random),
            ("least_requests", Balance::LeastRequests),
            ("first", Balance::First),
        ];
        let balance = section.choice("balance", &balances).or(Balance::RoundRobin);
        let expected = "an array such as [\"127.0.0.1:9000\"]";
        let endpoints = section
            .read("endpoints", expected, |found| {
                read_endpoints(found, expected)
            })
            .required();
        let tls = section.optional_table("tls", UpstreamTls::read);
        let pool = section.table("pool", Pool::read);
        let host_header = section.parsed(
            "host_header",
            "\"preserve\", \"upstream\" or the host to send",
            parse_host_header,
        );
        let host_header = host_header.or(HostHeader::Preserve);
        let retries = section
            .integer("retries", 0..=RETRIES_MAX)
            .or(DEFAULT_RETRIES);
        let health = section.optional_table("health", read_health);
        let ejection = section.table("ejection", read_ejection);
        let (endpoints, tls) = (endpoints?, tls?);
        require_server_name(section, &endpoints, tls.as_ref())?;
        Some(Self {
            name: String::new(),
            place,
            balance,
            endpoints,
            tls,
            pool: pool?,
            host_header,
            retries,
            health: health?,
            ejection: ejection?,
        })
    }
}

fn read_health(section: &mut Section<'_>) -> Option<HealthCheck> {
    let default = HealthCheck::default();
    let mut read = |key, default| section.duration(key, Zero::Refused).or(default);
    let (interval, timeout) = (
        read("interval", default.interval),
        read("timeout", default.timeout),
    );
    let mut read = |key, default| section.integer(key, 1..=THRESHOLD_MAX).or(default);
    Some(HealthCheck {
        interval,
        timeout,
        thresholds: Thresholds {
            healthy: read("healthy", default.thresholds.healthy),
            unhealthy: read("unhealthy", default.thresholds.unhealthy),
        },
    })
}

fn read_ejection(section: &mut Section<'_>) -> Option<EjectionPolicy> {
    let default = EjectionPolicy::default();
    let failures = section
        .integer("failures", 0..=THRESHOLD_MAX)
        .or(default.failures);
    let share_percent = section
        .integer("share_percent", 0..=100_u8)
        .or(default.share_percent);
    let mut read = |key, default| section.duration(key, Zero::Refused).or(default);
    Some(EjectionPolicy {
        failures,
        base: read("base", default.base),
        longest: read("longest", default.longest),
        share_percent,
    })
}

/// A socket in the file system has no host name that a certificate could be for.
fn require_server_name(
    section: &Section<'_>,
    endpoints: &[Endpoint],
    tls: Option<&UpstreamTls>,
) -> Option<()> {
    let nameless = tls.is_some_and(|tls| tls.server_name.is_none())
        && endpoints
            .iter()
            .any(|endpoint| matches!(endpoint.address, EndpointAddress::Unix(_)));
    if !nameless {
        return Some(());
    }
    let finding = Finding::new(
        section.key_span("tls").unwrap_or_else(|| section.span()),
        section.path().child("tls").child("server_name"),
        "TLS over a Unix socket needs a server name to verify",
    );
    let finding = finding.expected("tls = { server_name = \"app.internal\" }");
    section.findings().push(finding);
    None
}

fn read_endpoints(found: &Found<'_>, expected: &str) -> Option<Vec<Endpoint>> {
    let items = found.items(expected)?;
    match items.len() {
        0 => return found.refuse("there is no endpoint", expected),
        1..=ENDPOINTS_MAX => {}
        count => {
            return found.refuse(
                format!("{count} endpoints are too many"),
                format!("at most {ENDPOINTS_MAX} endpoints"),
            );
        }
    }
    let mut seen = BTreeMap::new();
    all(items.iter().map(|item| {
        let endpoint = read_endpoint(item)?;
        let address = endpoint.address.clone();
        if let Some(first) = seen.insert(address, item.span()) {
            let finding = item.finding(format!("the endpoint {} is there twice", endpoint.address));
            let finding = finding
                .expected("each endpoint once; `weight` gives it a larger share")
                .related(first, "first here");
            item.findings().push(finding);
            return None;
        }
        Some(endpoint)
    }))
}

fn read_endpoint(found: &Found<'_>) -> Option<Endpoint> {
    let place = found.findings().place(found.span().start);
    let resolve = |path: &str| found.findings().resolve(path);
    match found.value() {
        DeValue::String(_) => Some(Endpoint {
            address: parsed(found, ENDPOINT, |text| parse_endpoint(text, &resolve))?,
            weight: 1,
            place,
        }),
        DeValue::Table(_) => found.section(|section| {
            let address = section
                .parsed("address", ENDPOINT, |text| parse_endpoint(text, &resolve))
                .required();
            let weight = section.integer("weight", 1..=WEIGHT_MAX).or(1);
            Some(Endpoint {
                address: address?,
                weight,
                place,
            })
        }),
        _ => found.wrong_type(format!(
            "{ENDPOINT}, or {{ address = \"...\", weight = 2 }}"
        )),
    }
}

impl Pool {
    fn read(section: &mut Section<'_>) -> Option<Self> {
        Some(Self {
            idle: section.integer("idle", 0..=100_000_u32).or(256) as usize,
            idle_timeout: section
                .duration("idle_timeout", Zero::Refused)
                .or(Duration::from_secs(60)),
            requests: section
                .integer("requests", 1..=u64::from(u32::MAX))
                .or(100_000),
        })
    }
}

fn parse_host_header(text: &str) -> Result<HostHeader, String> {
    match text {
        "preserve" => Ok(HostHeader::Preserve),
        "upstream" => Ok(HostHeader::Upstream),
        _ => {
            let (host, port) = match text.rsplit_once(':') {
                Some((host, port)) if !host.ends_with(':') && !text.ends_with(']') => {
                    (host, Some(port))
                }
                _ => (text, None),
            };
            if port.is_some_and(|port| port.parse::<u16>().is_err()) {
                return Err(format!(
                    "{port:?} is not a port",
                    port = port.unwrap_or_default()
                ));
            }
            let bare = host
                .strip_prefix('[')
                .and_then(|host| host.strip_suffix(']'));
            super::address::parse_host(bare.unwrap_or(host))?;
            HeaderValue::from_str(text)
                .map(HostHeader::Literal)
                .map_err(|_| format!("{text:?} is not a host"))
        }
    }
}
