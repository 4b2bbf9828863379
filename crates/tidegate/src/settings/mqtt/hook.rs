//! `[servers.NAME.hook]`: somebody else is asked who may connect.

use std::path::PathBuf;
use std::time::Duration;

use http::Uri;
use http::uri::{PathAndQuery, Scheme};

use crate::settings::EndpointAddress;
use crate::settings::address::{parse_endpoint, parse_host};
use crate::settings::scalars::Zero;
use crate::settings::section::Section;

/// Whom to ask, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    /// Where.
    pub url: HookUrl,
    /// The PEM file with the authorities that vouch for who is asked by `https`; the
    /// system's when absent.
    pub ca: Option<PathBuf>,
    /// From the question, its wait for a turn included, to the end of the answer.
    pub timeout: Duration,
    /// Questions at a time, all workers together. Each worker keeps as many connections at
    /// most.
    pub concurrency: usize,
    /// How long a connection is kept without a question.
    pub idle_timeout: Duration,
}

/// A URL with `http` or `https`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookUrl {
    /// Where its host is.
    pub address: EndpointAddress,
    /// The host, as a certificate names it.
    pub host: String,
    /// Host and port as they were written.
    pub authority: String,
    /// What is asked for there.
    pub target: PathAndQuery,
    /// Whether TLS is spoken.
    pub is_secure: bool,
}

const URL: &str = "a URL such as \"http://127.0.0.1:9000/mqtt\" or \"https://auth.internal/\"";

impl Hook {
    pub(super) fn read(section: &mut Section<'_>) -> Option<Self> {
        let url = section.parsed("url", URL, parse_url).required();
        let ca = section.file("ca").optional();
        let timeout = section
            .duration("timeout", Zero::Refused)
            .or(Duration::from_secs(3));
        let concurrency = section.integer("concurrency", 1..=65_535_u32).or(64);
        let idle_timeout = section
            .duration("idle_timeout", Zero::Refused)
            .or(Duration::from_secs(30));
        Some(Self {
            url: url?,
            ca: ca?,
            timeout,
            concurrency: concurrency as usize,
            idle_timeout,
        })
    }
}

fn parse_url(text: &str) -> Result<HookUrl, String> {
    let uri: Uri = text.parse().map_err(|error| format!("{error}"))?;
    let is_secure = match uri.scheme() {
        Some(scheme) if *scheme == Scheme::HTTP => false,
        Some(scheme) if *scheme == Scheme::HTTPS => true,
        _ => return Err("it is neither http nor https".to_owned()),
    };
    let authority = uri.authority().ok_or("it has no host")?.as_str().to_owned();
    if authority.contains('@') {
        return Err("a name and a password in a URL are shown to everybody".to_owned());
    }
    let host = uri.host().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let default_port = if is_secure { 443 } else { 80 };
    let port = uri.port_u16().unwrap_or(default_port);
    let address = parse_endpoint(&format!("{host}:{port}"), &|path| path.into())?;
    let no_path = PathAndQuery::from_static("/");
    Ok(HookUrl {
        address,
        host: parse_host(bare)?,
        authority,
        target: uri.path_and_query().cloned().unwrap_or(no_path),
        is_secure,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_url_says_whom_to_ask() {
        let url = parse_url("http://127.0.0.1:9000/mqtt?x=1").unwrap();
        let address = EndpointAddress::Socket("127.0.0.1:9000".parse().unwrap());
        assert_eq!(url.address, address);
        assert_eq!(url.target, "/mqtt?x=1");
        assert!(!url.is_secure);
        let url = parse_url("https://auth.internal").unwrap();
        let host = "auth.internal".to_owned();
        assert_eq!(url.address, EndpointAddress::Name { host, port: 443 });
        assert_eq!(url.target, "/");
        assert!(url.is_secure);
        let url = parse_url("http://[::1]:80/").unwrap();
        assert_eq!(url.host, "::1");
    }

    #[test]
    fn what_cannot_be_asked_is_refused() {
        for text in [
            "",
            "127.0.0.1:9000",
            "/mqtt",
            "ftp://a/",
            "http://",
            "http://u:p@a/",
            "http://a:0/",
            "http://a_b!/",
        ] {
            assert!(parse_url(text).is_err(), "{text}");
        }
    }
}
