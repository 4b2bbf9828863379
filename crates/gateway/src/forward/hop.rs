//! Fields that are for one connection only (RFC 9110 section 7.6.1); what goes and what
//! stays is told at [`prepare_request`](super::prepare_request).
//!
//! A peer that has `Connection` name an end-to-end field wants it to vanish between two
//! hops: the framing, to smuggle a request; an address or a credential, to pass for
//! somebody else. So those names are ignored.

use http::HeaderValue;
use http::header::{CONNECTION, TE};
use tidegate_http::Headers;
use tidegate_http::headers::{Role, Roles};
use tidegate_http::hop::remove_named;

use super::trust::PeerTrust;

/// Whether an `Upgrade` goes on to the next hop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UpgradePolicy {
    /// It ends here: the fields are removed.
    #[default]
    Remove,
    /// It goes on: `Upgrade` stays, with `Connection: upgrade` beside it.
    Forward,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Request,
    Response,
}

/// What the walk over the fields has seen.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Found {
    connection: bool,
    te: bool,
    upgrade: bool,
    /// Fields that simply end here.
    ending: bool,
    /// Fields that tell where a request came from.
    pub(super) forwarded: bool,
}

/// What becomes of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    GoesOn,
    Ends,
    /// `Connection`: it ends, and so does what it names.
    Connection,
    /// `TE`: only the wish for trailers goes on.
    Te,
    /// It ends, unless an upgrade goes on.
    Upgrade,
    /// It goes on if the peer is trusted.
    Forwarding,
}

/// Removes what must not go on. Nothing is allocated unless `Connection` names others.
pub(super) fn sweep(
    headers: &mut Headers,
    direction: Direction,
    upgrade: UpgradePolicy,
    trust: PeerTrust,
) -> Found {
    let found = look(headers, direction);
    if found.connection {
        remove_named(headers);
    }
    if found.te {
        keep_trailers(headers);
    }
    let ends = |fate| match fate {
        Fate::Ends => true,
        Fate::Upgrade => upgrade == UpgradePolicy::Remove,
        Fate::Forwarding => trust == PeerTrust::Untrusted,
        Fate::GoesOn | Fate::Connection | Fate::Te => false,
    };
    if found.ending || found.upgrade || found.forwarded {
        headers.retain(|field| !ends(fate(field.role(), direction)));
    }
    if found.upgrade && upgrade == UpgradePolicy::Forward {
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    }
    found
}

fn look(headers: &Headers, direction: Direction) -> Found {
    let mut found = Found::default();
    // Most messages have none of these.
    if !headers.may_have(LOOKED_FOR) {
        return found;
    }
    for field in headers.iter() {
        match fate(field.role(), direction) {
            Fate::GoesOn => {}
            Fate::Ends => found.ending = true,
            Fate::Connection => found.connection = true,
            Fate::Te => found.te = true,
            Fate::Upgrade => found.upgrade = true,
            Fate::Forwarding => found.forwarded = true,
        }
    }
    found
}

/// Roles of which [`fate`] says something else than that the field goes on.
const LOOKED_FOR: Roles = Roles::of(&[
    Role::TransferEncoding,
    Role::Te,
    Role::Connection,
    Role::KeepAlive,
    Role::ProxyConnection,
    Role::Upgrade,
    Role::Http2Settings,
    Role::Proxy,
    Role::ProxyAuthorization,
    Role::ProxyAuthenticate,
    Role::ProxyAuthenticationInfo,
    Role::Forwarding,
]);

const fn fate(role: Role, direction: Direction) -> Fate {
    match (role, direction) {
        (Role::Connection, _) => Fate::Connection,
        (Role::Te, _) => Fate::Te,
        (Role::Upgrade | Role::Http2Settings, _) => Fate::Upgrade,
        (Role::KeepAlive | Role::ProxyConnection | Role::TransferEncoding, _) => Fate::Ends,
        (Role::Proxy | Role::ProxyAuthorization, Direction::Request) => Fate::Ends,
        (Role::ProxyAuthenticate | Role::ProxyAuthenticationInfo, Direction::Response) => {
            Fate::Ends
        }
        (Role::Forwarding, Direction::Request) => Fate::Forwarding,
        _ => Fate::GoesOn,
    }
}

/// Of transfer preferences only the wish for trailers is meaningful to the next hop.
fn keep_trailers(headers: &mut Headers) {
    let wanted = headers.get_all(TE).any(|value| {
        let mut codings = value.as_bytes().split(|byte| *byte == b',');
        codings.any(|coding| {
            let name = coding.split(|byte| *byte == b';').next().unwrap_or(coding);
            name.trim_ascii().eq_ignore_ascii_case(b"trailers")
        })
    });
    if wanted {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    } else {
        headers.remove(TE);
    }
}
