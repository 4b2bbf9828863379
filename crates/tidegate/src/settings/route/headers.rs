//! Header names and values in the settings.

use crate::settings::found::{Found, all, quoted};
use crate::settings::section::Section;
use http::{HeaderName, HeaderValue};

/// `request_headers` or `response_headers`: removed first, then set, then added.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HeaderEdits {
    /// Fields that replace all fields of their name.
    pub set: Vec<(HeaderName, HeaderValue)>,
    /// Fields that come on top.
    pub add: Vec<(HeaderName, HeaderValue)>,
    /// Names whose fields are taken out.
    pub remove: Vec<HeaderName>,
}

const NAME: &str = "the name of a header field, such as \"x-frame-options\"";
pub(super) const FIELDS: &str = "a table such as { x-frame-options = \"DENY\" }";
const VALUE: &str = "a header value: text without control characters";

/// The gateway frames messages itself; a field of these names in the settings would
/// break them (RFC 9112 section 6, RFC 9110 section 7.6.1).
const FRAMING: [HeaderName; 6] = [
    http::header::CONNECTION,
    http::header::CONTENT_LENGTH,
    http::header::TRANSFER_ENCODING,
    http::header::TE,
    http::header::TRAILER,
    http::header::UPGRADE,
];

impl HeaderEdits {
    pub(super) fn read(section: &mut Section<'_>) -> Option<Self> {
        let set = section.read("set", FIELDS, fields);
        let set = set
            .about("Fields that replace all of their name.")
            .or(Vec::new());
        let add = section.read("add", FIELDS, fields);
        let add = add.about("Fields that come on top.").or(Vec::new());
        let expected = "an array of header names";
        let remove = section.read("remove", expected, |found| {
            let items = found.items(expected)?;
            all(items.iter().map(|item| name(item, item.text(NAME)?)))
        });
        Some(Self {
            set,
            add,
            remove: remove
                .about("Names whose fields are taken out, before any are set.")
                .or(Vec::new()),
        })
    }
}

/// A table of names, each with a value or an array of values.
pub(super) fn fields(found: &Found<'_>) -> Option<Vec<(HeaderName, HeaderValue)>> {
    let entries = found.entries(FIELDS)?;
    let fields = all(entries.into_iter().map(|(key, _, found)| {
        let name = name(&found, key);
        let values = match found.text_or_items(VALUE) {
            Some(items) => all(items.iter().map(value)),
            None => None,
        };
        let (name, values) = (name?, values?);
        Some(values.into_iter().map(move |value| (name.clone(), value)))
    }))?;
    Some(fields.into_iter().flatten().collect())
}

fn name(found: &Found<'_>, text: &str) -> Option<HeaderName> {
    let Ok(name) = text.parse::<HeaderName>() else {
        return found.refuse(format!("{} cannot name a header field", quoted(text)), NAME);
    };
    if FRAMING.contains(&name) {
        return found.refuse(
            format!("`{name}` is set by the gateway itself"),
            "another header field",
        );
    }
    Some(name)
}

fn value(found: &Found<'_>) -> Option<HeaderValue> {
    let text = found.text(VALUE)?;
    match HeaderValue::from_str(text) {
        Ok(value) => Some(value),
        Err(_) => found.refuse(format!("{} cannot be a header value", quoted(text)), VALUE),
    }
}
