//! What is compared with hyper of the `Connection` field.

use http::{HeaderMap, HeaderValue};

/// `Connection` lines about persistence alone are settled by this codec and not
/// handed on; hyper hands them on.
pub(crate) fn keep_other_options(headers: &mut HeaderMap) {
    let persistence = |value: &HeaderValue| {
        value.as_bytes().split(|byte| *byte == b',').all(|option| {
            let option = option.trim_ascii();
            option.eq_ignore_ascii_case(b"close") || option.eq_ignore_ascii_case(b"keep-alive")
        })
    };
    let others: Vec<HeaderValue> = headers
        .get_all("connection")
        .iter()
        .filter(|value| !persistence(value))
        .cloned()
        .collect();
    headers.remove("connection");
    for value in others {
        headers.append("connection", value);
    }
}
