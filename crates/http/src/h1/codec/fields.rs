//! Tells a message's [`Headers`] where its fields stand and, in the same pass,
//! gathers what frames the message. Called by the head parsers.

use super::ParseError;
use super::authority::{self, Port};
use super::framing::{ConnectionOptions, Framing, LengthField};
use super::line::FieldLines;
use crate::headers::Headers;

/// Which side sent the head: responses may repeat an equal `Content-Length`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sender {
    Client,
    Server,
}

/// The `Host` field as it was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HostField {
    Missing,
    Valid,
    Invalid,
}

/// What one pass over the fields found.
#[derive(Debug)]
pub(super) struct Fields {
    pub(super) framing: Framing,
    pub(super) host: HostField,
    pub(super) has_upgrade: bool,
    pub(super) expects_continue: bool,
}

/// Tells the lines to `headers`, which have received the head they are in.
pub(super) fn collect(
    mut lines: FieldLines<'_>,
    sender: Sender,
    headers: &mut Headers,
) -> Result<Fields, ParseError> {
    let mut fields = Fields {
        framing: Framing::new(),
        host: HostField::Missing,
        has_upgrade: false,
        expects_continue: false,
    };
    while let Some(line) = lines.next()? {
        match special(line.name) {
            None => {}
            Some(Special::ContentLength) => match fields.framing.content_length(line.value)? {
                LengthField::First => {}
                LengthField::Duplicate if sender == Sender::Server => continue,
                LengthField::Duplicate => return Err(ParseError::RepeatedContentLength),
            },
            Some(Special::TransferEncoding) => fields.framing.transfer_encoding(line.value)?,
            Some(Special::Connection) => match fields.framing.connection(line.value) {
                // Settled here: handlers need not see it, nor proxies remove it.
                ConnectionOptions::Persistence => continue,
                ConnectionOptions::Others => {}
            },
            Some(Special::Host) => match fields.host {
                HostField::Missing if authority::is_valid(line.value, Port::Optional) => {
                    fields.host = HostField::Valid;
                }
                HostField::Missing => fields.host = HostField::Invalid,
                _ if sender == Sender::Client => return Err(ParseError::RepeatedHost),
                _ => {}
            },
            Some(Special::Expect) => {
                fields.expects_continue |= line.value.eq_ignore_ascii_case(b"100-continue");
            }
            Some(Special::Upgrade) => fields.has_upgrade |= !line.value.is_empty(),
        }
        headers.push_received(line.place);
    }
    Ok(fields)
}

/// A field that says something about the message or the connection.
enum Special {
    ContentLength,
    TransferEncoding,
    Connection,
    Host,
    Expect,
    Upgrade,
}

/// Told by length first: most names are none of these, and that settles it.
#[inline]
const fn special(name: &[u8]) -> Option<Special> {
    let (known, special): (&[u8], _) = match name.len() {
        4 => (b"host", Special::Host),
        6 => (b"expect", Special::Expect),
        7 => (b"upgrade", Special::Upgrade),
        10 => (b"connection", Special::Connection),
        14 => (b"content-length", Special::ContentLength),
        17 => (b"transfer-encoding", Special::TransferEncoding),
        _ => return None,
    };
    match name.eq_ignore_ascii_case(known) {
        true => Some(special),
        false => None,
    }
}
