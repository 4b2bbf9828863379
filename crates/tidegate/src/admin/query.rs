//! What stands behind the `?` of what is asked for.

use std::borrow::Cow;
use std::str::FromStr;

use percent_encoding::percent_decode_str;

/// The parameters of a request. Escapes are decoded; a plus sign is one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Query<'a>(&'a str);

impl<'a> Query<'a> {
    pub(super) fn of(query: Option<&'a str>) -> Self {
        Self(query.unwrap_or_default())
    }

    /// The first parameter of this name.
    pub(super) fn get(self, name: &str) -> Option<Cow<'a, str>> {
        let mut pairs = self.0.split('&');
        let value = pairs.find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))?;
        Some(percent_decode_str(value).decode_utf8_lossy())
    }

    /// The parameter of this name, or `default` if there is none.
    ///
    /// # Errors
    ///
    /// It is not what it has to be; a sentence says so.
    pub(super) fn parse<T: FromStr>(self, name: &str, default: T) -> Result<T, String>
    where
        T::Err: std::fmt::Display,
    {
        match self.get(name) {
            None => Ok(default),
            Some(value) => value.parse().map_err(|error| format!("{name}: {error}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_found_whole_and_decoded() {
        let query = Query::of(Some("topic=a%2Fb%26c+d&top=x&count=7&empty="));
        assert_eq!(query.get("topic").as_deref(), Some("a/b&c+d"));
        assert_eq!(query.get("top").as_deref(), Some("x"));
        assert_eq!(query.get("to"), None);
        assert_eq!(query.get("empty").as_deref(), Some(""));
        assert_eq!(query.parse("count", 1), Ok(7));
        assert_eq!(query.parse("other", 1), Ok(1));
        assert!(query.parse("top", 1).is_err());
        assert_eq!(Query::of(None).get("topic"), None);
    }
}
