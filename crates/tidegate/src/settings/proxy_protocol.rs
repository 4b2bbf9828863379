//! `proxy_protocol` of a server: which proxies in front of it say whose connections they
//! pass on.

use super::networks::networks;
use super::scalars::Zero;
use super::section::Section;
use super::server::Listen;
use tidegate_runtime::listener::ListenAddr;
use tidegate_runtime::proxy_protocol::{
    DEFAULT_HEADER_TIMEOUT, OtherPeers, ProxyProtocolMode, ProxyProtocolOptions,
};

/// Reads the table. Without one the server's connections begin without a header.
pub(super) fn read(section: &mut Section<'_>, listen: &[Listen]) -> Option<ProxyProtocolMode> {
    let read = section.optional_table("proxy_protocol", |section| {
        read_options(section, needs_trust(listen))
    })?;
    Some(read.map_or(ProxyProtocolMode::Off, ProxyProtocolMode::On))
}

/// Whether anybody could send the server a header: by a listener of its own, or by that of
/// another server, whatever it is.
fn needs_trust(listen: &[Listen]) -> bool {
    let is_unix = |listen: &Listen| matches!(listen.address, ListenAddr::Unix(_));
    listen.is_empty() || !listen.iter().all(is_unix)
}

fn read_options(section: &mut Section<'_>, needs_trust: bool) -> Option<ProxyProtocolOptions> {
    let trust = networks(section, "trust");
    let trust = if needs_trust {
        trust.required()
    } else {
        Some(trust.or(Vec::new()))
    };
    let peers = [
        ("refuse", OtherPeers::Refused),
        ("direct", OtherPeers::Direct),
    ];
    let others = section.choice("others", &peers).or(OtherPeers::default());
    let header_timeout = section
        .duration("header_timeout", Zero::Refused)
        .or(DEFAULT_HEADER_TIMEOUT);
    Some(ProxyProtocolOptions {
        trust: trust?,
        others,
        header_timeout,
    })
}
