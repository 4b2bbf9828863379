//! Rules on topics, in an order.

use crate::broker::access::{Access, AccessRules, Client};
use crate::codec::{QualityOfService, TopicName};

use super::filter::RuleFilter;
use super::name_pattern::NamePattern;

/// What a rule says of the topics in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Effect {
    /// They may be used.
    #[default]
    Allow,
    /// They may not.
    Deny,
}

/// One rule: for whom, for what, and which answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rule {
    /// Users that it is for; empty: whoever, also who has no name.
    pub users: Vec<NamePattern>,
    /// Client Identifiers that it is for; empty: all.
    pub clients: Vec<NamePattern>,
    /// The answer.
    pub effect: Effect,
    /// Topics that are published to.
    pub publish: Vec<RuleFilter>,
    /// Topics that are subscribed to.
    pub subscribe: Vec<RuleFilter>,
}

impl Rule {
    fn is_for(&self, client: Client<'_>) -> bool {
        let is_among = |patterns: &[NamePattern], name: Option<&str>| {
            patterns.is_empty()
                || name.is_some_and(|name| patterns.iter().any(|it| it.matches(name)))
        };
        is_among(&self.users, client.identity.user.as_deref())
            && is_among(&self.clients, Some(client.id))
    }

    /// Whether it has an answer for all of `asked`. A rule that allows has one if it allows
    /// all of it, a rule that denies if it denies a part: what is behind it cannot give
    /// back what it takes.
    fn answers(&self, filters: &[RuleFilter], client: Client<'_>, asked: &str) -> bool {
        filters.iter().any(|filter| match self.effect {
            Effect::Allow => filter.covers(client, asked),
            Effect::Deny => filter.meets(client, asked),
        })
    }
}

/// Rules of which the first that has an answer gives it; where none has, it is no.
///
/// Topics that begin with `$` nobody publishes to, whatever the rules say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TopicRules {
    rules: Box<[Rule]>,
}

impl TopicRules {
    /// These rules, in this order. Without one nobody may do anything.
    pub fn new(rules: Vec<Rule>) -> Self {
        Self {
            rules: rules.into(),
        }
    }

    fn ask<'a>(
        &'a self,
        client: Client<'_>,
        filters: impl Fn(&'a Rule) -> &'a [RuleFilter],
        asked: &str,
    ) -> Access {
        let answer = self
            .rules
            .iter()
            .find(|rule| rule.is_for(client) && rule.answers(filters(rule), client, asked));
        match answer.map(|rule| rule.effect) {
            Some(Effect::Allow) => Access::Allow,
            Some(Effect::Deny) | None => Access::Deny,
        }
    }
}

impl AccessRules for TopicRules {
    fn may_publish(
        &self,
        client: Client<'_>,
        topic: &TopicName,
        _: QualityOfService,
        _: bool,
    ) -> Access {
        if topic.is_reserved() {
            return Access::Deny;
        }
        self.ask(client, |rule| &rule.publish, topic.as_str())
    }

    fn may_subscribe(&self, client: Client<'_>, filter: &str) -> Access {
        self.ask(client, |rule| &rule.subscribe, filter)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use crate::broker::access::Identity;

    fn rule(user: &str, effect: Effect, topics: &str) -> Rule {
        Rule {
            users: vec![user.parse().unwrap()],
            effect,
            publish: vec![topics.parse().unwrap()],
            subscribe: vec![topics.parse().unwrap()],
            ..Rule::default()
        }
    }

    fn subscribes(rules: &TopicRules, user: Option<&str>, filter: &str) -> bool {
        let identity = Identity {
            user: user.map(Into::into),
            ..Identity::default()
        };
        let client = Client {
            id: "id",
            identity: &identity,
        };
        rules.may_subscribe(client, filter) == Access::Allow
    }

    fn publishes(rules: &TopicRules, user: Option<&str>, topic: &str) -> bool {
        let identity = Identity {
            user: user.map(Into::into),
            ..Identity::default()
        };
        let client = Client {
            id: "id",
            identity: &identity,
        };
        let topic = TopicName::try_from(topic).unwrap();
        rules.may_publish(client, &topic, QualityOfService::AtMostOnce, false) == Access::Allow
    }

    #[test]
    fn what_no_rule_speaks_of_is_denied() {
        let rules = TopicRules::new(vec![rule("ann", Effect::Allow, "a/#")]);
        assert!(publishes(&rules, Some("ann"), "a/b"));
        assert!(!publishes(&rules, Some("ann"), "b"));
        assert!(!publishes(&rules, Some("bob"), "a/b"));
        assert!(!publishes(&rules, None, "a/b"));
        assert!(!publishes(&TopicRules::default(), Some("ann"), "a"));
    }

    #[test]
    fn a_wide_subscription_does_not_get_around_a_rule_that_denies() {
        let rules = TopicRules::new(vec![
            rule("*", Effect::Deny, "a/secret"),
            rule("*", Effect::Allow, "#"),
        ]);
        assert!(!subscribes(&rules, Some("ann"), "a/+"));
        assert!(!subscribes(&rules, Some("ann"), "#"));
        assert!(subscribes(&rules, Some("ann"), "b/#"));
        assert!(publishes(&rules, Some("ann"), "a/open"));
        assert!(!publishes(&rules, Some("ann"), "a/secret"));
    }

    #[test]
    fn the_first_rule_with_an_answer_gives_it() {
        let rules = TopicRules::new(vec![
            rule("root", Effect::Allow, "#"),
            rule("*", Effect::Deny, "admin/#"),
            rule("*", Effect::Allow, "admin/open"),
        ]);
        assert!(publishes(&rules, Some("root"), "admin/open"));
        assert!(!publishes(&rules, Some("ann"), "admin/open"));
    }

    #[test]
    fn nobody_speaks_as_the_broker() {
        let rules = TopicRules::new(vec![rule("*", Effect::Allow, "$SYS/#")]);
        assert!(!publishes(&rules, Some("ann"), "$SYS/uptime"));
        assert!(subscribes(&rules, Some("ann"), "$SYS/uptime"));
    }
}
