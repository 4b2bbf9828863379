//! Enhanced authentication (section 4.12): the seam behind which a mechanism
//! such as SCRAM stands. A mechanism does no I/O either: data in, data out.

use std::{fmt, sync::Arc};

use super::access::Identity;
use crate::codec::ReasonCode;

/// Finds the mechanism for an Authentication Method.
pub trait Authenticator: fmt::Debug {
    /// Begins an exchange with `client_id`; none if the method is not offered,
    /// which the client is told with 0x8C (Bad authentication method).
    fn begin(&self, method: &str, client_id: &str) -> Option<Box<dyn Exchange>>;
}

/// One exchange, from CONNECT, or AUTH with 0x19 (Re-authenticate), to its end.
pub trait Exchange: fmt::Debug {
    /// Takes the Authentication Data of the client's packet; empty if it has none.
    fn step(&mut self, data: &[u8]) -> Step;
}

/// What follows from the client's data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Send this to the client in AUTH with 0x18 and await its answer.
    Continue(Vec<u8>),
    /// The client is who this says; the data goes along with CONNACK, or with
    /// AUTH 0x00 after re-authentication.
    Done {
        /// Who it is.
        identity: Identity,
        /// The last data for the client.
        data: Vec<u8>,
    },
    /// It is not: the connection is refused or closed with this reason.
    Refuse(ReasonCode),
}

/// Methods that several cores offer.
#[derive(Debug, Clone)]
pub struct SharedMethods(pub Arc<dyn Authenticator + Send + Sync>);

/// The same methods, not such as would answer alike.
impl PartialEq for SharedMethods {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for SharedMethods {}

impl Authenticator for SharedMethods {
    fn begin(&self, method: &str, client_id: &str) -> Option<Box<dyn Exchange>> {
        self.0.begin(method, client_id)
    }
}

/// Offers no method.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoMethods;

impl Authenticator for NoMethods {
    fn begin(&self, _: &str, _: &str) -> Option<Box<dyn Exchange>> {
        None
    }
}
