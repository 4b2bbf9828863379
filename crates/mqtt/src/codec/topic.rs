//! Topic names and topic filters (MQTT 5.0 section 4.7 and 4.8.2).

use std::fmt;

use bytes::Bytes;

use super::text::{Text, TextError};

/// The prefix of a shared subscription's filter.
const SHARE: &[u8] = b"$share/";

/// Where a message goes: at least one character, no wildcard (MQTT-4.7.0-1, MQTT-4.7.3-1).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicName(Text);

/// What a subscriber asks for. Wildcards are where they may be (MQTT-4.7.1-1,
/// MQTT-4.7.1-2); a shared one has a name and a pattern (MQTT-4.8.2-1, MQTT-4.8.2-2).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicFilter {
    text: Text,
    /// Where the pattern starts: behind `$share/NAME/`, or at 0.
    pattern_at: u16,
    wildcard: bool,
}

/// Why a text is no topic name or no topic filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TopicError {
    /// No MQTT string.
    #[error(transparent)]
    Text(#[from] TextError),
    /// No character at all (MQTT-4.7.3-1).
    #[error("a topic is empty")]
    Empty,
    /// `+` or `#` in a topic name (MQTT-4.7.0-1).
    #[error("a topic name contains a wildcard")]
    WildcardInName,
    /// `+` beside other characters in its level, or `#` not alone in the last level
    /// (MQTT-4.7.1-1, MQTT-4.7.1-2).
    #[error("a wildcard in a topic filter is not a level of its own")]
    WildcardPlace,
    /// `$share/` without a name or without a filter, or a wildcard in the name
    /// (MQTT-4.8.2-1, MQTT-4.8.2-2).
    #[error("a shared subscription lacks its name or its filter")]
    Share,
}

impl TopicName {
    /// Checks the bytes and keeps them.
    ///
    /// # Errors
    ///
    /// When they are no topic name.
    pub fn new(bytes: Bytes) -> Result<Self, TopicError> {
        Self::from_text(Text::new(bytes)?)
    }

    /// Checks a text and keeps it.
    ///
    /// # Errors
    ///
    /// When it is no topic name.
    pub fn from_text(text: Text) -> Result<Self, TopicError> {
        if text.is_empty() {
            return Err(TopicError::Empty);
        }
        if Self::is_valid(text.as_bytes()) {
            Ok(Self(text))
        } else {
            Err(TopicError::WildcardInName)
        }
    }

    /// Whether a text's bytes are a topic name.
    pub(super) fn is_valid(text: &[u8]) -> bool {
        // No early end: this loop vectorises.
        let clean = text
            .iter()
            .fold(true, |clean, &byte| clean & (byte != b'+') & (byte != b'#'));
        clean && !text.is_empty()
    }

    /// Its levels, without the separators. A leading or trailing `/` makes an empty level.
    pub fn levels(&self) -> impl Iterator<Item = &[u8]> {
        self.as_bytes().split(|&byte| byte == b'/')
    }

    /// Whether it starts with `$`: no filter that starts with a wildcard matches it
    /// (MQTT-4.7.2-1).
    #[must_use]
    pub fn is_reserved(&self) -> bool {
        self.as_bytes().first() == Some(&b'$')
    }

    /// Its UTF-8.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// As a string.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// As a text, shared.
    #[must_use]
    pub const fn as_text(&self) -> &Text {
        &self.0
    }

    /// The same name in memory of its own.
    #[must_use]
    pub fn detached(&self) -> Self {
        Self(self.0.detached())
    }
}

impl TopicFilter {
    /// Checks the bytes and keeps them.
    ///
    /// # Errors
    ///
    /// When they are no topic filter.
    pub fn new(bytes: Bytes) -> Result<Self, TopicError> {
        Self::from_text(Text::new(bytes)?)
    }

    /// Checks a text and keeps it.
    ///
    /// # Errors
    ///
    /// When it is no topic filter.
    pub fn from_text(text: Text) -> Result<Self, TopicError> {
        let pattern_at = pattern_at(text.as_bytes())?;
        let wildcard = has_wildcard(&text.as_bytes()[pattern_at..])?;
        Ok(Self {
            text,
            pattern_at: u16::try_from(pattern_at).expect("a text has at most 65,535 bytes"),
            wildcard,
        })
    }

    /// The name of the group, when the subscription is a shared one.
    #[must_use]
    pub fn share_name(&self) -> Option<&[u8]> {
        let end = usize::from(self.pattern_at).checked_sub(1)?;
        Some(&self.text.as_bytes()[SHARE.len()..end])
    }

    /// What topics are matched with: the whole filter, or what is behind `$share/NAME/`.
    #[must_use]
    pub fn pattern(&self) -> &[u8] {
        &self.text.as_bytes()[usize::from(self.pattern_at)..]
    }

    /// The levels of the pattern.
    pub fn levels(&self) -> impl Iterator<Item = &[u8]> {
        self.pattern().split(|&byte| byte == b'/')
    }

    /// Whether the pattern contains a wildcard.
    #[must_use]
    pub const fn has_wildcard(&self) -> bool {
        self.wildcard
    }

    /// Whether messages to this topic are wanted. For matching many filters use a tree;
    /// this looks at one.
    #[must_use]
    pub fn matches(&self, topic: &TopicName) -> bool {
        let mut names = topic.levels();
        for (depth, level) in self.levels().enumerate() {
            let reserved = depth == 0 && topic.is_reserved();
            match level {
                b"#" => return !reserved,
                b"+" => match names.next() {
                    Some(_) if !reserved => {}
                    _ => return false,
                },
                level if names.next() == Some(level) => {}
                _ => return false,
            }
        }
        names.next().is_none()
    }

    /// The whole filter's UTF-8, `$share/NAME/` included.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.text.as_bytes()
    }

    /// The whole filter.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.text.as_str()
    }

    /// As a text, shared.
    #[must_use]
    pub const fn as_text(&self) -> &Text {
        &self.text
    }

    /// The same filter in memory of its own.
    #[must_use]
    pub fn detached(&self) -> Self {
        Self {
            text: self.text.detached(),
            ..*self
        }
    }
}

/// Where the pattern of a filter starts.
fn pattern_at(filter: &[u8]) -> Result<usize, TopicError> {
    let Some(rest) = filter.strip_prefix(SHARE) else {
        return Ok(0);
    };
    let name_bytes = rest
        .iter()
        .position(|&byte| byte == b'/')
        .ok_or(TopicError::Share)?;
    let name = &rest[..name_bytes];
    if name.is_empty() || name.contains(&b'+') || name.contains(&b'#') {
        return Err(TopicError::Share);
    }
    if rest.len() == name_bytes + 1 {
        return Err(TopicError::Share);
    }
    Ok(SHARE.len() + name_bytes + 1)
}

/// Whether a pattern contains wildcards; an error where they may not be.
fn has_wildcard(pattern: &[u8]) -> Result<bool, TopicError> {
    if pattern.is_empty() {
        return Err(TopicError::Empty);
    }
    if !pattern.contains(&b'+') && !pattern.contains(&b'#') {
        return Ok(false);
    }
    let mut levels = pattern.split(|&byte| byte == b'/').peekable();
    while let Some(level) = levels.next() {
        let fits = match level {
            b"#" => levels.peek().is_none(),
            b"+" => true,
            level => !level.contains(&b'+') && !level.contains(&b'#'),
        };
        if !fits {
            return Err(TopicError::WildcardPlace);
        }
    }
    Ok(true)
}

impl fmt::Debug for TopicName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for TopicName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for TopicFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

impl fmt::Display for TopicFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.text, f)
    }
}

impl TryFrom<&str> for TopicName {
    type Error = TopicError;

    fn try_from(text: &str) -> Result<Self, TopicError> {
        Self::from_text(Text::copy_from(text)?)
    }
}

impl TryFrom<&str> for TopicFilter {
    type Error = TopicError;

    fn try_from(text: &str) -> Result<Self, TopicError> {
        Self::from_text(Text::copy_from(text)?)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn filter(text: &str) -> Result<TopicFilter, TopicError> {
        TopicFilter::try_from(text)
    }

    #[test]
    fn names_with_wildcards_or_without_characters_are_refused() {
        assert_eq!(TopicName::try_from(""), Err(TopicError::Empty));
        assert_eq!(TopicName::try_from("a/+"), Err(TopicError::WildcardInName));
        assert_eq!(TopicName::try_from("a#"), Err(TopicError::WildcardInName));
        assert!(TopicName::try_from("/").is_ok());
    }

    #[test]
    fn wildcards_out_of_place_are_refused() {
        for text in ["sport/tennis#", "sport/#/ranking", "sport+", "+a/b", "##"] {
            assert_eq!(filter(text), Err(TopicError::WildcardPlace), "{text}");
        }
        for text in ["#", "+", "/+", "+/+/#", "a//b", "sport/+/player1"] {
            assert!(filter(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn shared_filters_without_name_or_pattern_are_refused() {
        for text in [
            "$share/",
            "$share//a",
            "$share/g",
            "$share/g/",
            "$share/g+/a",
        ] {
            assert_eq!(filter(text), Err(TopicError::Share), "{text}");
        }
        let shared = filter("$share/group//a/+").unwrap();
        assert_eq!(shared.share_name(), Some(&b"group"[..]));
        assert_eq!(shared.pattern(), b"/a/+");
        assert!(shared.has_wildcard());
        assert_eq!(filter("$shared/g/a").unwrap().share_name(), None);
    }

    #[test]
    fn matching_follows_the_examples_of_the_standard() {
        let matches = |pattern, name| {
            filter(pattern)
                .unwrap()
                .matches(&TopicName::try_from(name).unwrap())
        };
        for (pattern, name) in [
            ("sport/tennis/player1/#", "sport/tennis/player1"),
            ("sport/tennis/player1/#", "sport/tennis/player1/score/x"),
            ("sport/#", "sport"),
            ("sport/+", "sport/"),
            ("+/+", "/finance"),
            ("/+", "/finance"),
            ("$SYS/#", "$SYS/a/b"),
            ("$SYS/+", "$SYS/a"),
            ("$share/g/+/a", "b/a"),
        ] {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("sport/+", "sport"),
            ("+", "/finance"),
            ("#", "$SYS/a"),
            ("+/a", "$SYS/a"),
            ("sport/tennis/+", "sport/tennis/player1/ranking"),
            ("ACCOUNTS", "Accounts"),
            ("a", "a/"),
        ] {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }
}
