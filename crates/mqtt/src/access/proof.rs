//! Proofs of who a client is, in what its CONNECT and its connection say.
//!
//! A server asks its proofs in order before the core hears of the client. What takes a
//! while is not done on the worker: a proof answers with a future, and the connection
//! waits for it, within the time that it has for its CONNECT.

use std::fmt;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;

use crate::broker::access::{Identity, Validity};
use crate::codec::{ReasonCode, Text};

/// What is known of a client that wants to connect.
#[derive(Clone, Default)]
pub struct Credentials {
    /// The Client Identifier that it chose; none if it left that to the server.
    pub client_id: Option<Text>,
    /// The user name.
    pub user: Option<Text>,
    /// The password.
    pub password: Option<Bytes>,
    /// Where it connects from; none for a Unix socket.
    pub address: Option<IpAddr>,
    /// The certificate that it proved to have the key of, in DER, once the authorities that
    /// the server trusts had been found to vouch for it.
    pub certificate: Option<Box<[u8]>>,
}

impl fmt::Debug for Credentials {
    // A password is not to be found in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("client_id", &self.client_id)
            .field("user", &self.user)
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// What a proof finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The client is this.
    Accepted(Identity),
    /// The client is not to come in, and is told this reason.
    Refused(ReasonCode),
    /// It cannot tell; the next one may.
    Unknown,
}

/// A verdict to come. It belongs to one connection on one worker; dropping it is how its
/// connection's end is told.
pub type PendingVerdict<'a> = Pin<Box<dyn Future<Output = Verdict> + 'a>>;

/// One way to prove who one is. Shared by all workers.
pub trait Proof: fmt::Debug + Send + Sync {
    /// Looks at what a client has to show.
    fn check<'a>(&'a self, credentials: &'a Credentials) -> PendingVerdict<'a>;

    /// Whether it would still let somebody in as `identity` by what that has a mark of. Asked
    /// of clients that are connected when proofs are exchanged; only of marks, so that a
    /// proof that makes none need not answer.
    fn holds(&self, identity: &Identity) -> bool {
        let _ = identity;
        false
    }
}

/// The proofs that a server takes, in the order in which they are asked.
#[derive(Clone, Debug, Default)]
pub struct Proofs(pub Vec<Arc<dyn Proof>>);

/// The same proofs, not such as would answer alike.
impl PartialEq for Proofs {
    fn eq(&self, other: &Self) -> bool {
        self.0.len() == other.0.len()
            && self
                .0
                .iter()
                .zip(&other.0)
                .all(|(one, other)| Arc::ptr_eq(one, other))
    }
}

impl Eq for Proofs {}

impl Validity for Proofs {
    fn holds(&self, identity: &Identity) -> bool {
        identity.mark.is_none() || self.0.iter().any(|proof| proof.holds(identity))
    }
}

impl Proofs {
    /// The first verdict that says something; [`Verdict::Unknown`] if none does.
    pub(crate) async fn check(&self, credentials: &Credentials) -> Verdict {
        for proof in &self.0 {
            match proof.check(credentials).await {
                Verdict::Unknown => {}
                verdict => return verdict,
            }
        }
        Verdict::Unknown
    }
}
