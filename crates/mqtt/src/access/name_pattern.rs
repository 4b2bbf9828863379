//! Patterns for names: of users, and of clients.

use std::str::FromStr;

/// A name in which `*` stands for any characters, and for none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamePattern {
    /// What stands between the asterisks; one part if there is none.
    parts: Box<[Box<str>]>,
}

/// Why a text is no pattern for names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NamePatternError {
    /// No character at all. No client has such a name.
    #[error("the pattern is empty")]
    Empty,
}

impl NamePattern {
    /// Whether `name` is one of those meant.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        let [first, between @ .., last] = &*self.parts else {
            return self.parts.iter().all(|only| &**only == name);
        };
        let Some(mut rest) = name.strip_prefix(&**first) else {
            return false;
        };
        // The first place where a part fits leaves the most to those behind it.
        for part in between {
            match rest.find(&**part) {
                Some(at) => rest = &rest[at + part.len()..],
                None => return false,
            }
        }
        rest.ends_with(&**last)
    }
}

impl FromStr for NamePattern {
    type Err = NamePatternError;

    fn from_str(text: &str) -> Result<Self, NamePatternError> {
        if text.is_empty() {
            return Err(NamePatternError::Empty);
        }
        Ok(Self {
            parts: text.split('*').map(Into::into).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use proptest::prelude::*;

    use super::*;

    fn matches(pattern: &str, name: &str) -> bool {
        pattern.parse::<NamePattern>().unwrap().matches(name)
    }

    #[test]
    fn a_name_without_an_asterisk_is_that_name_only() {
        assert!(matches("ann", "ann"));
        assert!(!matches("ann", "anna"));
        assert!(!matches("ann", "joann"));
        assert!("".parse::<NamePattern>().is_err());
    }

    #[test]
    fn parts_do_not_share_characters_of_the_name() {
        assert!(matches("a*a", "aa"));
        assert!(!matches("a*a", "a"));
        assert!(!matches("ab*bc", "abc"));
        assert!(!matches("*ab*ab", "ab"));
        assert!(matches("*ab*ab", "abxab"));
        assert!(matches("*", ""));
    }

    /// The same by trying everything.
    fn slowly(pattern: &[u8], name: &[u8]) -> bool {
        match (pattern, name) {
            ([], []) => true,
            ([b'*', pattern @ ..], _) => (0..=name.len()).any(|at| slowly(pattern, &name[at..])),
            ([a, pattern @ ..], [b, name @ ..]) => a == b && slowly(pattern, name),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn the_first_fit_finds_what_trying_all_finds(
            pattern in "[ab*]{1,8}",
            name in "[ab]{0,10}",
        ) {
            prop_assert_eq!(
                matches(&pattern, &name),
                slowly(pattern.as_bytes(), name.as_bytes())
            );
        }
    }
}
