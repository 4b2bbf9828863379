//! Which protocol a client speaks, by its first bytes. No I/O and no clock.
//!
//! Only what a listener is meant to serve is looked for, so that a protocol which is not
//! on offer is refused rather than mistaken. No bytes begin two of them, so that the order in
//! which they are looked for does not matter:
//!
//! | first byte | what may be there | decided by |
//! |---|---|---|
//! | `00`, `80`, `82` | Thrift | version, header or name, within nine bytes |
//! | `10` | MQTT | packet type, its length, `MQTT` |
//! | `16` | TLS | version 3.x, the type of the message in the record |
//! | `P` | HTTP/2, or HTTP/1 | the first line of the preface; where it parts from that |
//! | a line break, another letter or sign of a method | HTTP/1 | method, space, and a target's first |
//! | any other | none of them | |

mod http;
mod mqtt;
mod thrift;
mod tls;

/// The most bytes a verdict can take.
pub const DETECT_BYTES_MAX: usize = http::METHOD_BYTES_MAX + 8;

/// A protocol that can be told by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// HTTP/1.1 and below: a request line (RFC 9112 section 3).
    Http1,
    /// HTTP/2 by prior knowledge: its preface (RFC 9113 section 3.4).
    Http2,
    /// A TLS handshake (RFC 8446 section 5.1).
    Tls,
    /// MQTT 3.1.1 and 5.0: a CONNECT packet (MQTT 5.0 section 3.1).
    Mqtt,
    /// Thrift: a call in any transport and protocol (Thrift RPC specification, "Compatibility",
    /// and CloudWeGo's TTHeader).
    Thrift,
}

/// What is thought after some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detection {
    /// It is this protocol, whatever follows.
    Found(Protocol),
    /// More bytes have to come.
    Undecided,
    /// It is none of those looked for, whatever follows.
    Unknown,
}

/// Whether bytes begin as a protocol does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Yes,
    No,
    Maybe,
}

/// Looks for the protocols in `wanted` in `bytes`: all that has come so far.
///
/// ```
/// use tidegate_gateway::detect::{Detection, Protocol, detect};
///
/// let wanted = [Protocol::Http1, Protocol::Mqtt];
/// assert_eq!(detect(b"GET", &wanted), Detection::Undecided);
/// assert_eq!(detect(b"GET /", &wanted), Detection::Found(Protocol::Http1));
/// assert_eq!(detect(b"\x10\x0c\0\x04MQTT", &wanted), Detection::Found(Protocol::Mqtt));
/// assert_eq!(detect(b"\x16\x03\x01", &wanted), Detection::Unknown);
/// ```
pub fn detect(bytes: &[u8], wanted: &[Protocol]) -> Detection {
    let mut undecided = false;
    for &protocol in wanted {
        let verdict = match protocol {
            Protocol::Http1 => http::is_request_line(bytes),
            Protocol::Http2 => begins(bytes, http::PREFACE),
            Protocol::Tls => tls::is_handshake(bytes),
            Protocol::Mqtt => mqtt::is_connect(bytes),
            Protocol::Thrift => thrift::is_call(bytes),
        };
        match verdict {
            Verdict::Yes => return Detection::Found(protocol),
            Verdict::Maybe => undecided = true,
            Verdict::No => {}
        }
    }
    if undecided {
        Detection::Undecided
    } else {
        Detection::Unknown
    }
}

/// Whether `bytes` begin with `signature`, or may when more have come.
fn begins(bytes: &[u8], signature: &[u8]) -> Verdict {
    let fits = bytes.iter().zip(signature).all(|(one, other)| one == other);
    match fits {
        false => Verdict::No,
        true if bytes.len() < signature.len() => Verdict::Maybe,
        true => Verdict::Yes,
    }
}

#[cfg(test)]
mod tests;
