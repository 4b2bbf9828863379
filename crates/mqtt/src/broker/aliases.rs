//! Topic aliases of one connection, each way (section 3.3.2.3.4). They end with
//! the connection (3.3.2-7).

use std::num::NonZeroU16;

use hashbrown::HashMap;

use crate::codec::{TopicAlias, TopicForm, TopicName};

/// Why a client's alias is not one: both are a protocol error, 0x94 and 0x82.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AliasError {
    /// It is above the maximum we told (3.3.2-9).
    OutOfRange,
    /// No topic was given for it.
    Unknown,
}

/// Aliases that the client has set.
#[derive(Debug, Default)]
pub(super) struct AliasesIn {
    topics: Vec<Option<TopicName>>,
}

impl AliasesIn {
    /// The topic of a PUBLISH with an alias; sets the alias if there is a topic.
    pub(super) fn resolve(
        &mut self,
        alias: TopicAlias,
        topic: Option<&TopicName>,
        maximum: u16,
    ) -> Result<TopicName, AliasError> {
        if alias.0.get() > maximum {
            return Err(AliasError::OutOfRange);
        }
        let place = usize::from(alias.0.get()) - 1;
        let Some(topic) = topic else {
            let known = self.topics.get(place).cloned().flatten();
            return known.ok_or(AliasError::Unknown);
        };
        if self.topics.len() <= place {
            self.topics.resize(place + 1, None);
        }
        // Kept for as long as the connection: not at the cost of a read buffer.
        let topic = topic.detached();
        self.topics[place] = Some(topic.clone());
        Ok(topic)
    }
}

/// Aliases that we have set. The first topics keep theirs: a topic that is
/// published often is likely among the first, and replacing aliases round and
/// round costs more than it saves.
#[derive(Debug)]
pub(super) struct AliasesOut {
    maximum: u16,
    known: HashMap<Box<[u8]>, TopicAlias>,
}

impl AliasesOut {
    /// None if no alias may be used (3.1.2-27).
    pub(super) fn new(maximum: u16) -> Option<Box<Self>> {
        (maximum > 0).then(|| {
            Box::new(Self {
                maximum,
                known: HashMap::new(),
            })
        })
    }

    pub(super) fn form(&mut self, topic: &TopicName) -> TopicForm {
        if let Some(alias) = self.known.get(topic.as_bytes()) {
            return TopicForm::Alias(*alias);
        }
        if self.known.len() >= usize::from(self.maximum) {
            return TopicForm::Name;
        }
        let next = NonZeroU16::MIN.saturating_add(self.known.len() as u16);
        self.known.insert(topic.as_bytes().into(), TopicAlias(next));
        TopicForm::NameAndAlias(TopicAlias(next))
    }

    /// Takes back an alias that was just set, but did not go out.
    pub(super) fn forget(&mut self, topic: &TopicName) {
        self.known.remove(topic.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn alias(number: u16) -> TopicAlias {
        TopicAlias(NonZeroU16::new(number).unwrap())
    }

    fn name(topic: &str) -> TopicName {
        TopicName::try_from(topic).unwrap()
    }

    #[test]
    fn a_client_alias_stands_until_it_is_set_again() {
        let mut aliases = AliasesIn::default();
        let mut resolve = |number, topic: &str| {
            let topic = (!topic.is_empty()).then(|| name(topic));
            aliases
                .resolve(alias(number), topic.as_ref(), 3)
                .map(|topic| topic.to_string())
        };
        assert_eq!(resolve(2, ""), Err(AliasError::Unknown));
        assert_eq!(resolve(2, "a"), Ok("a".to_owned()));
        assert_eq!(resolve(2, ""), Ok("a".to_owned()));
        assert_eq!(resolve(2, "b"), Ok("b".to_owned()));
        assert_eq!(resolve(2, ""), Ok("b".to_owned()));
        assert_eq!(resolve(4, "a"), Err(AliasError::OutOfRange));
    }

    #[test]
    fn no_alias_above_what_the_client_takes() {
        assert!(AliasesOut::new(0).is_none());
        let mut aliases = AliasesOut::new(1).unwrap();
        assert_eq!(aliases.form(&name("a")), TopicForm::NameAndAlias(alias(1)));
        assert_eq!(aliases.form(&name("b")), TopicForm::Name);
        assert_eq!(aliases.form(&name("a")), TopicForm::Alias(alias(1)));
        aliases.forget(&name("a"));
        assert_eq!(aliases.form(&name("b")), TopicForm::NameAndAlias(alias(1)));
    }
}
