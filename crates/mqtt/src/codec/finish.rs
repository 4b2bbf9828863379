//! DISCONNECT (section 3.14) and AUTH (section 3.15).

use bytes::Bytes;

use super::acknowledge::ReasonDetail;
use super::reason::ReasonCode;
use super::text::Text;

/// The last packet of a connection. MQTT 3.1.1: from clients only, without content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disconnect {
    /// Why the connection ends.
    pub reason: ReasonCode,
    /// How long the session is to live on, in seconds; from clients only.
    pub session_expiry_seconds: Option<u32>,
    /// Where to connect to instead; from servers only.
    pub server_reference: Option<Text>,
    /// In words.
    pub detail: ReasonDetail,
}

impl Disconnect {
    /// For this reason, without a word on it.
    #[must_use]
    pub fn new(reason: ReasonCode) -> Self {
        Self {
            reason,
            session_expiry_seconds: None,
            server_reference: None,
            detail: ReasonDetail::default(),
        }
    }
}

/// A step of enhanced authentication. MQTT 5.0 only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Auth {
    /// Success, one more step, or once more from the start.
    pub reason: ReasonCode,
    /// The name of the method; always there unless the reason is success.
    pub method: Option<Text>,
    /// What the method says.
    pub data: Option<Bytes>,
    /// In words.
    pub detail: ReasonDetail,
}
