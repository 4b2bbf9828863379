//! What a file may say, as data: every key that the readers take.
//!
//! A key is written down in one place, the reader that takes it: its type, limits,
//! default and what it is about. [`Table::of_settings`] runs the readers over no file at
//! all, in sections that note what is asked of them instead of answering; the schema and
//! the reference are printed from that. What the readers check beyond types and keys,
//! such as whether a text is an address, is told by the words of the error they have.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;

use serde_json::Value;

use super::Settings;
use super::findings::Findings;
use super::references::References;
use super::scalars::Zero;
use super::section::Section;

/// What may be at one place: any of these. Whoever reads the place adds to it.
#[derive(Debug, Clone, Default)]
pub(super) struct Shapes(Rc<RefCell<Vec<Shape>>>);

/// One thing that may be at a place.
#[derive(Debug, Clone)]
pub(super) enum Shape {
    /// A string, and which.
    Text(String),
    /// One of these strings.
    Words(Vec<&'static str>),
    /// `true` or `false`.
    Boolean,
    /// A whole number, both bounds included.
    Integer { low: u64, high: u64 },
    /// One of these whole numbers.
    Numbers(Vec<u16>),
    /// A length of time with its unit.
    Duration(Zero),
    /// A number of bytes, or one with its unit.
    Size(Zero),
    /// Any number of what is inside.
    Array(Shapes),
    /// A table whose keys are the user's.
    Names {
        naming: Naming,
        expected: String,
        of: Shapes,
    },
    /// A table with keys of its own.
    Table(Table),
}

/// Which keys a table takes that are the user's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Naming {
    /// Those that end up in logs and metrics; see `site_name`.
    Site,
    /// Whatever else its reader says.
    Free,
}

/// A table and the keys in it.
#[derive(Debug, Clone, Default)]
pub(super) struct Table {
    pub(super) about: &'static str,
    pub(super) keys: Vec<Key>,
    pub(super) rules: Vec<Rule>,
    /// If there are any, then one of these holds, and its keys are there as well.
    pub(super) variants: Vec<Variant>,
}

/// A key of a table.
#[derive(Debug, Clone)]
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) shapes: Shapes,
    pub(super) presence: Presence,
}

/// What it means if a key is absent.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Presence {
    /// A mistake.
    Required,
    /// That it is as if this was written.
    Default(Value),
    /// Something that no value says.
    Optional,
}

/// How the keys of a table depend on each other.
#[derive(Debug, Clone)]
pub(super) enum Rule {
    /// At least one of them is there.
    AnyOf(Vec<&'static str>),
    /// No two of them are there.
    AtMostOne(Vec<&'static str>),
    /// The first is only there with the second.
    Needs(&'static str, &'static str),
}

/// Keys that are there under a condition.
#[derive(Debug, Clone)]
pub(super) struct Variant {
    pub(super) condition: Condition,
    pub(super) table: Table,
}

/// When a variant holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Condition {
    /// The key has this value.
    Word(&'static str, &'static str),
    /// The key is there.
    Present(&'static str),
    /// The key is not there.
    Absent(&'static str),
}

impl Shapes {
    /// Notes that this may be here.
    pub(super) fn add(&self, shape: Shape) {
        self.0.borrow_mut().push(shape);
    }

    /// Notes that nothing but this may be here.
    pub(super) fn replace(&self, shape: Shape) {
        self.0.replace(vec![shape]);
    }

    /// What may be here, in the order in which it was noted.
    pub(super) fn list(&self) -> Vec<Shape> {
        self.0.borrow().clone()
    }

    /// What a table that may be here says about itself.
    pub(super) fn about(&self) -> &'static str {
        let shapes = self.0.borrow();
        let mut tables = shapes.iter().filter_map(|shape| match shape {
            Shape::Table(table) => Some(table.about),
            _ => None,
        });
        tables.next_back().unwrap_or_default()
    }
}

impl Table {
    /// The whole file.
    pub(super) fn of_settings() -> Self {
        let findings = Findings::new("", Path::new(""), Vec::new());
        Section::outline(&findings, |section| {
            Settings::read(section, &References::default())
        })
    }

    /// The table without variants, once for each that may hold, with the conditions of
    /// that one.
    pub(super) fn alternatives(&self) -> Vec<(Vec<Condition>, Self)> {
        let common = Self {
            variants: Vec::new(),
            ..self.clone()
        };
        if self.variants.is_empty() {
            return vec![(Vec::new(), common)];
        }
        let variants = self.variants.iter();
        variants
            .flat_map(|variant| {
                let inner = variant.table.alternatives().into_iter();
                inner.map(|(conditions, table)| {
                    let conditions = [vec![variant.condition], conditions].concat();
                    (conditions, common.joined(table))
                })
            })
            .collect()
    }

    fn joined(&self, other: Self) -> Self {
        let mut both = self.clone();
        both.keys.extend(other.keys);
        both.rules.extend(other.rules);
        both
    }

    /// Whether it has a key of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.keys.iter().any(|key| key.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every key below `table`, by its path.
    fn keys(table: &Table, path: &str, found: &mut Vec<(String, Key)>) {
        for (_, table) in table.alternatives() {
            for key in table.keys {
                let path = format!("{path}.{}", key.name);
                below(&key.shapes, &path, found);
                found.push((path, key));
            }
        }
    }

    fn below(shapes: &Shapes, path: &str, found: &mut Vec<(String, Key)>) {
        for shape in shapes.list() {
            match shape {
                Shape::Table(table) => keys(&table, path, found),
                Shape::Array(of) | Shape::Names { of, .. } => below(&of, path, found),
                _ => {}
            }
        }
    }

    #[test]
    fn every_key_says_what_it_is_about_and_what_may_be_there() {
        let mut found = Vec::new();
        keys(&Table::of_settings(), "", &mut found);
        assert!(found.len() > 150, "only {} keys", found.len());
        let bare: Vec<_> = found
            .iter()
            .filter(|(_, key)| key.about.is_empty() || key.shapes.list().is_empty())
            .map(|(path, _)| path)
            .collect();
        assert!(
            bare.is_empty(),
            "call `.about()` where these are read: {bare:#?}"
        );
    }

    #[test]
    fn a_line_is_a_line() {
        let mut found = Vec::new();
        keys(&Table::of_settings(), "", &mut found);
        for (path, key) in found {
            let fits = key.about.len() <= 160 && !key.about.contains(['\n', '|']);
            assert!(fits && key.about.ends_with('.'), "{path}: {:?}", key.about);
        }
    }
}
