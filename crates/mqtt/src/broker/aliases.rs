//! Topic aliases of one connection, each way (section 3.3.2.3.4). They end with
//! the connection (3.3.2-7).

use std::rc::Rc;

use hashbrown::HashMap;

/// Why a client's alias is not one: both are a protocol error, 0x94 and 0x82.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AliasError {
    /// It is 0 or above the maximum we told (3.3.2-8, 3.3.2-9).
    OutOfRange,
    /// No topic was given for it.
    Unknown,
}

/// Aliases that the client has set.
#[derive(Debug, Default)]
pub(super) struct AliasesIn {
    topics: Vec<Option<Rc<str>>>,
}

impl AliasesIn {
    /// The topic of a PUBLISH with an alias; sets the alias if there is a topic.
    pub(super) fn resolve(
        &mut self,
        alias: u16,
        topic: &str,
        maximum: u16,
    ) -> Result<Rc<str>, AliasError> {
        if alias == 0 || alias > maximum {
            return Err(AliasError::OutOfRange);
        }
        let place = usize::from(alias) - 1;
        if topic.is_empty() {
            return self
                .topics
                .get(place)
                .cloned()
                .flatten()
                .ok_or(AliasError::Unknown);
        }
        if self.topics.len() <= place {
            self.topics.resize(place + 1, None);
        }
        let topic: Rc<str> = topic.into();
        self.topics[place] = Some(Rc::clone(&topic));
        Ok(topic)
    }
}

/// How a topic is written to a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TopicAlias {
    /// In full.
    #[default]
    None,
    /// In full, and this alias stands for it from now on.
    Set(u16),
    /// By this alias alone.
    Use(u16),
}

/// Aliases that we have set. The first topics keep theirs: a topic that is
/// published often is likely among the first, and replacing aliases round and
/// round costs more than it saves.
#[derive(Debug)]
pub(super) struct AliasesOut {
    maximum: u16,
    known: HashMap<Box<str>, u16>,
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

    pub(super) fn alias(&mut self, topic: &str) -> TopicAlias {
        if let Some(alias) = self.known.get(topic) {
            return TopicAlias::Use(*alias);
        }
        let Ok(known) = u16::try_from(self.known.len()) else {
            return TopicAlias::None;
        };
        if known >= self.maximum {
            return TopicAlias::None;
        }
        self.known.insert(topic.into(), known + 1);
        TopicAlias::Set(known + 1)
    }

    /// Takes back an alias that was just set, but did not go out.
    pub(super) fn forget(&mut self, topic: &str) {
        self.known.remove(topic);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_alias_stands_until_it_is_set_again() {
        let mut aliases = AliasesIn::default();
        let mut resolve = |alias, topic| {
            aliases
                .resolve(alias, topic, 3)
                .map(|topic| topic.to_string())
        };
        assert_eq!(resolve(2, ""), Err(AliasError::Unknown));
        assert_eq!(resolve(2, "a"), Ok("a".to_owned()));
        assert_eq!(resolve(2, ""), Ok("a".to_owned()));
        assert_eq!(resolve(2, "b"), Ok("b".to_owned()));
        assert_eq!(resolve(2, ""), Ok("b".to_owned()));
        assert_eq!(resolve(0, "a"), Err(AliasError::OutOfRange));
        assert_eq!(resolve(4, "a"), Err(AliasError::OutOfRange));
    }

    #[test]
    fn no_alias_above_what_the_client_takes() {
        assert!(AliasesOut::new(0).is_none());
        let mut aliases = AliasesOut::new(1).expect("one may be used");
        assert_eq!(aliases.alias("a"), TopicAlias::Set(1));
        assert_eq!(aliases.alias("b"), TopicAlias::None);
        assert_eq!(aliases.alias("a"), TopicAlias::Use(1));
        aliases.forget("a");
        assert_eq!(aliases.alias("b"), TopicAlias::Set(1));
    }
}
