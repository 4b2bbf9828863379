//! HTTP: the preface of version 2, the request line of those before.

use super::Verdict;

/// The first line of the preface of HTTP/2. No method of HTTP/1 is called so.
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n";

/// The longest method that is taken for one.
pub(super) const METHOD_BYTES_MAX: usize = 32;

/// A method, a space, and what a target can begin with (RFC 9112 section 3.2): other
/// protocols of lines, such as SMTP, begin with a word and a space too.
pub(super) fn is_request_line(bytes: &[u8]) -> Verdict {
    // One empty line before it is to be overlooked (RFC 9112 section 2.2).
    let line = match bytes {
        [b'\r'] => return Verdict::Maybe,
        [b'\r', b'\n', line @ ..] => line,
        line => line,
    };
    if PREFACE.starts_with(line) || line.starts_with(PREFACE) {
        // The preface of version 2, as far as it has come.
        return if line.len() < PREFACE.len() {
            Verdict::Maybe
        } else {
            Verdict::No
        };
    }
    let method_end = line.iter().position(|byte| !is_token_byte(*byte));
    let Some(method_end) = method_end else {
        return match line.len() > METHOD_BYTES_MAX {
            true => Verdict::No,
            false => Verdict::Maybe,
        };
    };
    let (method, rest) = line.split_at(method_end);
    if method.is_empty() || method.len() > METHOD_BYTES_MAX || rest[0] != b' ' {
        return Verdict::No;
    }
    let target = &rest[1..];
    match target {
        [] => Verdict::Maybe,
        [b'/' | b'*', ..] => Verdict::Yes,
        _ if method == b"CONNECT" => Verdict::Yes,
        _ => is_scheme(target),
    }
}

/// Whether a target begins with `http`, in any case: a request to a proxy.
fn is_scheme(target: &[u8]) -> Verdict {
    let begun = &target[..target.len().min(4)];
    super::begins(&begun.to_ascii_lowercase(), b"http")
}

/// `tchar` of RFC 9110 section 5.6.2.
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
