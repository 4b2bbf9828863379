//! What upstreams are told of the client, as the settings want it.

use http::header::VIA;
use http::{HeaderValue, Version};
use tidegate_http::{ConnectionInfo, Headers, Scheme};

use crate::forward::{
    ForwardedScheme, RequestHop, Trust, UpgradePolicy, ViaPolicy, XForwarded, prepare_request,
};

/// Which forwarding fields are written, and whose are believed.
#[derive(Clone, Debug, Default)]
pub struct ForwardedSpec {
    /// Peers whose own forwarding fields are kept and added to.
    pub trust: Trust,
    /// Whether `X-Forwarded-*` are sent.
    pub x_forwarded: XForwarded,
    /// The name in `Via`.
    pub via: ViaName,
}

/// The name this gateway has in `Via`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ViaName {
    /// `tidegate`.
    #[default]
    Own,
    /// Another, as `1.1 NAME`.
    Pseudonym(HeaderValue),
    /// No `Via` is written.
    Omit,
}

/// Stands where an address would, if it were sent.
static UNSAID: HeaderValue = HeaderValue::from_static("unknown");

impl ForwardedSpec {
    pub(super) fn prepare(
        &self,
        headers: &mut Headers,
        version: Version,
        upgrade: UpgradePolicy,
        connection: &ConnectionInfo,
    ) {
        let hop = RequestHop {
            trust: self.trust.of(connection.peer.ip()),
            // Spelling out an address nobody is told would be most of a short connection's work.
            peer: match self.x_forwarded {
                XForwarded::Send => connection.peer_ip_value(),
                XForwarded::Omit => &UNSAID,
            },
            scheme: match connection.scheme {
                Scheme::Http => ForwardedScheme::Http,
                Scheme::Https => ForwardedScheme::Https,
            },
            version,
            host: None,
            upgrade,
            via: match self.via {
                ViaName::Own => ViaPolicy::Append,
                ViaName::Pseudonym(_) | ViaName::Omit => ViaPolicy::Omit,
            },
            x_forwarded: self.x_forwarded,
        };
        prepare_request(headers, &hop);
        if let ViaName::Pseudonym(name) = &self.via {
            headers.append(VIA, name.clone());
        }
    }
}
