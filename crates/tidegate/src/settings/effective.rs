//! What is in force, the way the file would say it with every default written out.

use std::cell::RefCell;
use std::time::Duration;

use serde_json::{Map, Value};
use toml::de::{DeTable, DeValue};

use super::findings::KeyPath;

/// What takes the place of a secret.
const STARS: &str = "***";

/// Words that make the name of a key one whose value nobody is shown.
const SECRET_WORDS: [&str; 8] = [
    "token",
    "secret",
    "password",
    "credential",
    "authorization",
    "cookie",
    "api-key",
    "api_key",
];

/// Tables whose values are nobody's business.
const SECRET_TABLES: [&str; 1] = ["environment"];

/// The configuration in force as one tree: what the file says and, where it says nothing, the
/// defaults. What may be a secret is stars.
///
/// All are equal: it is a view of the settings it comes with, and how those are written in the
/// file is no difference between them.
#[derive(Clone, Debug, Default)]
pub struct Effective(Value);

impl PartialEq for Effective {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Effective {
    /// The tree.
    pub const fn tree(&self) -> &Value {
        &self.0
    }

    pub(super) fn of(document: &DeTable<'_>, defaults: &Defaults) -> Self {
        let mut tree = table(document);
        for (path, value) in defaults.0.take() {
            set_absent(&mut tree, &segments(path.as_str()), value);
        }
        conceal(&mut tree, Concealment::ByName);
        Self(tree)
    }

    /// The same, but with the section `name` of `other`, which is still in force.
    pub(crate) fn keeping(mut self, name: &str, other: &Self) -> Self {
        if let Value::Object(map) = &mut self.0 {
            match other.0.get(name) {
                Some(section) => drop(map.insert(name.to_owned(), section.clone())),
                None => drop(map.remove(name)),
            }
        }
        self
    }
}

/// The defaults that readers fell back to, by the path of the key.
#[derive(Debug, Default)]
pub(super) struct Defaults(RefCell<Vec<(KeyPath, Value)>>);

impl Defaults {
    pub(super) fn note(&self, path: KeyPath, value: Value) {
        self.0.borrow_mut().push((path, value));
    }
}

/// A length of time with the largest unit that says it exactly.
pub(super) fn duration(value: &Duration) -> Value {
    let millis = value.as_millis();
    let shown = [(3_600_000, "h"), (60_000, "m"), (1000, "s")]
        .into_iter()
        .find(|(unit, _)| millis > 0 && millis.is_multiple_of(*unit));
    match shown {
        Some((unit, name)) => format!("{}{name}", millis / unit).into(),
        None => format!("{millis}ms").into(),
    }
}

/// A number of bytes with the largest unit that says it exactly.
pub(super) fn size(bytes: u64) -> Value {
    let shown = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")]
        .into_iter()
        .find(|(unit, _)| bytes > 0 && bytes.is_multiple_of(*unit));
    match shown {
        Some((unit, name)) => format!("{}{name}", bytes / unit).into(),
        None => format!("{bytes}B").into(),
    }
}

fn table(table: &DeTable<'_>) -> Value {
    let entries = table.iter();
    let entries =
        entries.map(|(key, item)| (key.get_ref().clone().into_owned(), value(item.get_ref())));
    Value::Object(entries.collect::<Map<_, _>>())
}

fn value(found: &DeValue<'_>) -> Value {
    match found {
        DeValue::String(text) => text.clone().into_owned().into(),
        DeValue::Integer(integer) => i128::from_str_radix(integer.as_str(), integer.radix())
            .ok()
            .and_then(|number| i64::try_from(number).ok())
            .map_or_else(|| integer.to_string().into(), Value::from),
        DeValue::Float(float) => float.to_string().into(),
        DeValue::Boolean(boolean) => (*boolean).into(),
        DeValue::Datetime(datetime) => datetime.to_string().into(),
        DeValue::Array(array) => array.iter().map(|item| value(item.get_ref())).collect(),
        DeValue::Table(found) => table(found),
    }
}

/// A part of a key's path.
#[derive(Debug, PartialEq, Eq)]
enum Segment {
    Key(String),
    Index(usize),
}

/// The parts of `servers.web.routes[0]."a.b"`.
fn segments(path: &str) -> Vec<Segment> {
    let mut found = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        rest = rest.strip_prefix('.').unwrap_or(rest);
        if rest.starts_with('"') {
            let mut quoted = serde_json::Deserializer::from_str(rest).into_iter::<String>();
            let key = quoted.next().and_then(Result::ok).unwrap_or_default();
            rest = rest.get(quoted.byte_offset().max(1)..).unwrap_or_default();
            found.push(Segment::Key(key));
        } else if let Some(index) = rest.strip_prefix('[') {
            let (number, after) = index.split_once(']').unwrap_or((index, ""));
            found.push(Segment::Index(number.parse().unwrap_or(usize::MAX)));
            rest = after;
        } else {
            let end = rest.find(['.', '[']).unwrap_or(rest.len());
            let (key, after) = rest.split_at(end);
            found.push(Segment::Key(key.to_owned()));
            rest = after;
        }
    }
    found
}

/// Writes a default where nothing is written. A table that was given in short, as a string,
/// keeps that form.
fn set_absent(tree: &mut Value, path: &[Segment], default: Value) {
    let Some((first, rest)) = path.split_first() else {
        if tree.is_null() {
            *tree = default;
        }
        return;
    };
    match (first, tree) {
        (Segment::Key(key), tree @ Value::Null) => {
            let mut inner = Value::Null;
            set_absent(&mut inner, rest, default);
            *tree = Value::Object(Map::from_iter([(key.clone(), inner)]));
        }
        (Segment::Key(key), Value::Object(map)) => {
            set_absent(
                map.entry(key.as_str()).or_insert(Value::Null),
                rest,
                default,
            );
        }
        (Segment::Index(index), Value::Array(array)) => {
            if let Some(item) = array.get_mut(*index) {
                set_absent(item, rest, default);
            }
        }
        _ => {}
    }
}

#[derive(Clone, Copy)]
enum Concealment {
    ByName,
    All,
}

fn conceal(tree: &mut Value, concealment: Concealment) {
    match tree {
        Value::Object(map) => {
            for (key, value) in map {
                let concealment = match concealment {
                    Concealment::ByName if !is_secret(key) => Concealment::ByName,
                    _ => Concealment::All,
                };
                conceal(value, concealment);
            }
        }
        Value::Array(array) => array.iter_mut().for_each(|it| conceal(it, concealment)),
        Value::String(text) if has_credentials(text) => STARS.clone_into(text),
        scalar => {
            if matches!(concealment, Concealment::All) {
                *scalar = STARS.into();
            }
        }
    }
}

fn is_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    let names_a_file = key.ends_with("_file");
    !names_a_file && SECRET_WORDS.iter().any(|word| key.contains(word))
        || SECRET_TABLES.contains(&key.as_str())
}

/// Whether the text is a URL with a user in it (RFC 3986 section 3.2.1).
fn has_credentials(text: &str) -> bool {
    let authority = text.split_once("://").map(|(_, rest)| rest);
    let authority = authority.map(|rest| rest.split(['/', '?', '#']).next().unwrap_or(rest));
    authority.is_some_and(|it| it.contains('@'))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::path::Path;

    use serde_json::json;

    use super::super::parse;
    use super::*;

    #[test]
    fn defaults_are_written_out_and_secrets_are_not() {
        let text = r#"
[admin]
listen = "127.0.0.1:9901"
token = "an-admin-token-of-ours"
[commands.helper]
program = "helper"
environment = { KEY = "sesame" }
[servers.web]
protocol = "http"
listen = "127.0.0.1:8080"
timeouts = { idle = "7s" }
[[servers.web.routes]]
prefix = "/"
upstream = "app"
[upstreams.app]
endpoints = ["127.0.0.1:9000"]
"#;
        let settings = parse(text, "test", Path::new("")).unwrap();
        let tree = settings.effective.tree();
        assert_eq!(tree["runtime"]["command_timeout"], "10s");
        assert_eq!(tree["servers"]["web"]["timeouts"]["idle"], "7s");
        assert_eq!(tree["servers"]["web"]["timeouts"]["header"], "10s");
        assert_eq!(tree["servers"]["web"]["limits"]["header_bytes"], "32KiB");
        assert_eq!(tree["upstreams"]["app"]["balance"], "round_robin");
        assert_eq!(
            tree["upstreams"]["app"]["endpoints"],
            json!(["127.0.0.1:9000"])
        );
        assert_eq!(tree["admin"]["token"], STARS);
        assert_eq!(tree["commands"]["helper"]["environment"]["KEY"], STARS);
        let shown = tree.to_string();
        assert!(!shown.contains("sesame") && !shown.contains("an-admin-token"));
    }

    #[test]
    fn paths_are_taken_apart_as_they_were_put_together() {
        let path = KeyPath::default()
            .child("servers")
            .child("a.b")
            .child("routes");
        let path = path.index(3).child("path");
        let key = |text: &str| Segment::Key(text.to_owned());
        assert_eq!(
            segments(path.as_str()),
            [
                key("servers"),
                key("a.b"),
                key("routes"),
                Segment::Index(3),
                key("path")
            ]
        );
    }

    #[test]
    fn who_has_a_password_in_a_url_does_not_see_it() {
        assert!(has_credentials("http://me:sesame@host/path"));
        assert!(!has_credentials("http://host/path?to=a@b"));
        assert!(!has_credentials("me@host"));
    }
}
