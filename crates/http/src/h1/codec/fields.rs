//! Tells a message's [`Headers`] where its fields stand and, in the same pass,
//! gathers what frames the message. Called by the head parsers.

use super::ParseError;
use super::authority::{self, Port};
use super::framing::{ConnectionOptions, Framing, LengthField};
use super::line::FieldLines;
use crate::headers::{Headers, Role};

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
        let role = Role::of(line.name);
        match role {
            Role::ContentLength => match fields.framing.content_length(line.value)? {
                LengthField::First => {}
                LengthField::Duplicate if sender == Sender::Server => continue,
                LengthField::Duplicate => return Err(ParseError::RepeatedContentLength),
            },
            Role::TransferEncoding => fields.framing.transfer_encoding(line.value)?,
            Role::Connection => match fields.framing.connection(line.value) {
                // Settled here: handlers need not see it, nor proxies remove it.
                ConnectionOptions::Persistence => continue,
                ConnectionOptions::Others => {}
            },
            Role::Host => match fields.host {
                HostField::Missing if authority::is_valid(line.value, Port::Optional) => {
                    fields.host = HostField::Valid;
                }
                HostField::Missing => fields.host = HostField::Invalid,
                _ if sender == Sender::Client => return Err(ParseError::RepeatedHost),
                _ => {}
            },
            Role::Expect => {
                fields.expects_continue |= line.value.eq_ignore_ascii_case(b"100-continue");
            }
            Role::Upgrade => fields.has_upgrade |= !line.value.is_empty(),
            _ => {}
        }
        headers.push_received(line.place, role);
    }
    Ok(fields)
}
