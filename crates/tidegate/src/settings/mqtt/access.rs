//! `[[servers.NAME.access]]`: who may publish and subscribe to what.

use std::str::FromStr;

use tidegate_mqtt::access::rules::{Effect, Rule, TopicRules};

use crate::settings::found::{Found, all};
use crate::settings::scalars::parsed;
use crate::settings::section::Section;

pub(super) const EXPECTED: &str = "an array of tables: [[...access]]";

/// The most rules of a server.
const RULES_MAX: usize = 1_000;

/// The most names, and the most topic filters, of a rule.
const ENTRIES_MAX: usize = 1_000;

const NAMES: &str = "a name such as \"ann\" or \"sensor-*\", or an array of such names";
const FILTERS: &str = "an array of topic filters such as \"home/{user}/#\"";

pub(super) fn read_rules(found: &Found<'_>) -> Option<TopicRules> {
    let items = found.items(EXPECTED)?;
    if items.len() > RULES_MAX {
        let message = format!("{} rules are too many", items.len());
        return found.refuse(message, format!("at most {RULES_MAX} rules"));
    }
    let rules = all(items.iter().map(|item| item.section(read_rule)))?;
    Some(TopicRules::new(rules))
}

fn read_rule(section: &mut Section<'_>) -> Option<Rule> {
    section.about("A rule; of all that fit, the first says what is so.");
    let users = section.read("user", NAMES, |found| read_entries(found, NAMES));
    let users = users.about("The users it is for; absent: all.");
    let users = users.or(Vec::new());
    let clients = section.read("client_id", NAMES, |found| read_entries(found, NAMES));
    let clients = clients.about("The client ids it is for; absent: all.");
    let clients = clients.or(Vec::new());
    let effects = [("allow", Effect::Allow), ("deny", Effect::Deny)];
    let effect = section.choice("effect", &effects);
    let effect = effect.about("What it does.").or(Effect::Allow);
    let publish = section.read("publish", FILTERS, |found| read_entries(found, FILTERS));
    let publish = publish.about("Topic filters: what they may publish to, or may not.");
    let publish = publish.or(Vec::new());
    let subscribe = section.read("subscribe", FILTERS, |found| read_entries(found, FILTERS));
    let subscribe = subscribe.about("Topic filters: what they may subscribe to, or may not.");
    let subscribe = subscribe.or(Vec::new());
    section.require_one(&["publish", "subscribe"], FILTERS);
    Some(Rule {
        users,
        clients,
        effect,
        publish,
        subscribe,
    })
}

/// One, or an array of them.
fn read_entries<T>(found: &Found<'_>, expected: &'static str) -> Option<Vec<T>>
where
    T: FromStr<Err: ToString>,
{
    let items = found.text_or_items(expected)?;
    match items.len() {
        // Nobody would be meant where everybody seems to be.
        0 => found.refuse("the array is empty", expected),
        1..=ENTRIES_MAX => all(items.iter().map(|item| parsed(item, expected, T::from_str))),
        count => found.refuse(
            format!("{count} entries are too many"),
            format!("at most {ENTRIES_MAX} entries"),
        ),
    }
}
