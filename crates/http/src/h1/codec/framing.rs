//! How long a message body is and whether the connection lives on after it
//! (RFC 9112 sections 6 and 9.3). Called by the head parsers.

use http::{Method, StatusCode};

use super::ParseError;

/// How the end of a message body is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyLength {
    /// There is no body, whatever the fields say.
    None,
    /// Exactly this many bytes (`Content-Length`), possibly zero.
    Fixed(u64),
    /// Chunks up to an empty one (`Transfer-Encoding: chunked`).
    Chunked,
    /// Everything up to the end of the connection; responses only.
    UntilClose,
    /// The connection carries opaque bytes from here on (`101`, or 2xx to
    /// CONNECT).
    Tunnel,
}

/// What the sender wants to happen to the connection after this message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionIntent {
    /// Another message may follow.
    KeepAlive,
    /// No message follows.
    Close,
}

/// The sender's protocol version, which decides several defaults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Minor {
    Http10,
    Http11,
}

impl Minor {
    pub(super) const fn version(self) -> http::Version {
        match self {
            Self::Http10 => http::Version::HTTP_10,
            Self::Http11 => http::Version::HTTP_11,
        }
    }
}

/// `Transfer-Encoding` over all its lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TransferEncoding {
    Absent,
    Chunked,
}

/// What the framing fields of one head said, gathered in one pass.
#[derive(Clone, Copy, Debug)]
pub(super) struct Framing {
    content_length: Option<u64>,
    transfer_encoding: TransferEncoding,
    close: bool,
    keep_alive: bool,
    pub(super) connection_upgrade: bool,
}

/// What a `Connection` line named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ConnectionOptions {
    /// `close` or `keep-alive`, and nothing else.
    Persistence,
    /// Other options, or fields that are for this connection only.
    Others,
}

/// What to do with a `Content-Length` that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LengthField {
    First,
    Duplicate,
}

impl Framing {
    pub(super) const fn new() -> Self {
        Self {
            content_length: None,
            transfer_encoding: TransferEncoding::Absent,
            close: false,
            keep_alive: false,
            connection_upgrade: false,
        }
    }

    /// Takes one `Content-Length` line. A repeated equal value is reported as
    /// a duplicate, a differing one is an error.
    pub(super) fn content_length(&mut self, value: &[u8]) -> Result<LengthField, ParseError> {
        let length = decimal(value).ok_or(ParseError::ContentLength)?;
        match self.content_length {
            None => {
                self.content_length = Some(length);
                Ok(LengthField::First)
            }
            Some(known) if known == length => Ok(LengthField::Duplicate),
            Some(_) => Err(ParseError::RepeatedContentLength),
        }
    }

    /// Takes one `Transfer-Encoding` line.
    pub(super) fn transfer_encoding(&mut self, value: &[u8]) -> Result<(), ParseError> {
        for coding in value.split(|&byte| byte == b',') {
            let coding = coding.trim_ascii();
            let name = coding.split(|&byte| byte == b';').next().unwrap_or(coding);
            if name.is_empty() {
                return Err(ParseError::TransferEncoding);
            }
            let chunked = name.trim_ascii().eq_ignore_ascii_case(b"chunked");
            if self.transfer_encoding == TransferEncoding::Chunked || chunked && name != coding {
                return Err(ParseError::TransferEncoding);
            }
            if !chunked {
                return Err(ParseError::UnknownTransferCoding);
            }
            self.transfer_encoding = TransferEncoding::Chunked;
        }
        Ok(())
    }

    /// Takes one `Connection` line.
    pub(super) fn connection(&mut self, value: &[u8]) -> ConnectionOptions {
        let mut options = ConnectionOptions::Persistence;
        for option in value.split(|&byte| byte == b',') {
            let option = option.trim_ascii();
            if option.eq_ignore_ascii_case(b"close") {
                self.close = true;
            } else if option.eq_ignore_ascii_case(b"keep-alive") {
                self.keep_alive = true;
            } else {
                self.connection_upgrade |= option.eq_ignore_ascii_case(b"upgrade");
                options = ConnectionOptions::Others;
            }
        }
        options
    }

    /// What the length fields say, once they are known not to contradict each
    /// other; `None` when there are none.
    fn declared(&self, minor: Minor, limit: u64) -> Result<Option<BodyLength>, ParseError> {
        match (self.transfer_encoding, self.content_length) {
            (TransferEncoding::Chunked, Some(_)) => {
                Err(ParseError::ContentLengthWithTransferEncoding)
            }
            (TransferEncoding::Chunked, None) if minor == Minor::Http10 => {
                Err(ParseError::TransferEncodingOnHttp10)
            }
            (TransferEncoding::Chunked, None) => Ok(Some(BodyLength::Chunked)),
            (TransferEncoding::Absent, Some(length)) if length > limit => {
                Err(ParseError::BodyTooLarge)
            }
            (TransferEncoding::Absent, Some(length)) => Ok(Some(BodyLength::Fixed(length))),
            (TransferEncoding::Absent, None) => Ok(None),
        }
    }

    pub(super) fn request_body(
        &self,
        method: &Method,
        minor: Minor,
        limit: u64,
    ) -> Result<BodyLength, ParseError> {
        let declared = self.declared(minor, limit)?;
        if method == Method::CONNECT && !matches!(declared, None | Some(BodyLength::Fixed(0))) {
            return Err(ParseError::ConnectWithBody);
        }
        Ok(declared.unwrap_or(BodyLength::None))
    }

    /// RFC 9112 section 6.3, in its order.
    pub(super) fn response_body(
        &self,
        request: &Method,
        status: StatusCode,
        minor: Minor,
        limit: u64,
    ) -> Result<BodyLength, ParseError> {
        let bodiless = has_no_body(request, status);
        // A length nobody sends costs nothing, so the limit does not hold.
        let limit = if bodiless { u64::MAX } else { limit };
        let declared = self.declared(minor, limit)?;
        if status == StatusCode::SWITCHING_PROTOCOLS
            || request == Method::CONNECT && status.is_success()
        {
            return Ok(BodyLength::Tunnel);
        }
        if bodiless {
            return Ok(BodyLength::None);
        }
        Ok(declared.unwrap_or(BodyLength::UntilClose))
    }

    /// RFC 9112 section 9.3.
    pub(super) const fn intent(&self, minor: Minor) -> ConnectionIntent {
        match minor {
            _ if self.close => ConnectionIntent::Close,
            Minor::Http10 if !self.keep_alive => ConnectionIntent::Close,
            _ => ConnectionIntent::KeepAlive,
        }
    }
}

/// Responses that end with their head (RFC 9112 section 6.3, rule 1).
pub(super) fn has_no_body(request: &Method, status: StatusCode) -> bool {
    request == Method::HEAD || status_has_no_body(status)
}

/// Whether the status alone rules a body out.
pub(super) fn status_has_no_body(status: StatusCode) -> bool {
    status.is_informational()
        || status == StatusCode::NO_CONTENT
        || status == StatusCode::NOT_MODIFIED
}

/// `1*DIGIT` below 2^64, and nothing else.
fn decimal(value: &[u8]) -> Option<u64> {
    if value.is_empty() {
        return None;
    }
    value.iter().try_fold(0_u64, |number, &byte| {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number.checked_mul(10)?.checked_add(u64::from(digit))
    })
}
