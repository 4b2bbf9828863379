//! Names and values of a query, as forms write them (WHATWG URL, section 5.1).

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// The pairs of a query; nothing if one of them is not UTF-8.
pub(super) fn pairs(query: &str) -> Option<Vec<(String, String)>> {
    let parts = query.split('&').filter(|part| !part.is_empty());
    let pairs = parts.map(|part| {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        Some((decoded(name)?, decoded(value)?))
    });
    pairs.collect()
}

fn decoded(text: &str) -> Option<String> {
    let spaced = match text.contains('+') {
        true => Cow::Owned(text.replace('+', " ")),
        false => Cow::Borrowed(text),
    };
    let decoded = percent_decode_str(&spaced).decode_utf8().ok()?;
    Some(decoded.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_decoded_once() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            pairs("a=1&b+c=%2B%26%25&&d&e=f=g&h=%C3%A9"),
            Some(vec![
                pair("a", "1"),
                pair("b c", "+&%"),
                pair("d", ""),
                pair("e", "f=g"),
                pair("h", "é"),
            ])
        );
        assert_eq!(pairs(""), Some(Vec::new()));
        assert_eq!(pairs("a=%FF"), None);
    }
}
