//! Reading a table of the file like a table on paper: one line per key.
//!
//! A reader is a function from a [`Section`] to `Option` of a checked value; it
//! takes every key it knows, in any order, and never stops at the first mistake.
//! Whoever hands a section to a reader closes it afterwards, so keys nobody took
//! are always reported, and a key that is missing because it was mistyped is
//! reported once, as the typo.
//!
//! A section can also be *outlined*: then it notes what its reader asks of it, and all
//! of it is absent (see `outline`).

mod entry;
mod outlining;

use super::findings::{Finding, Findings, KeyPath, Span};
use super::found::Found;
use super::outline::{Presence, Rule, Shape, Shapes, Table};
use super::suggest::nearest;
use entry::Outcome;
use toml::de::DeTable;

pub(super) use entry::Entry;

/// One table of the file, or the absence of it (then every key is absent).
pub(super) struct Section<'a> {
    findings: &'a Findings,
    path: KeyPath,
    span: Span,
    table: Option<&'a DeTable<'a>>,
    known: Vec<&'static str>,
    missing: Vec<Missing>,
    /// What the reader asked for, if that is to be known.
    outline: Option<Table>,
}

/// One of `keys` has to be there and none is.
struct Missing {
    keys: Vec<&'static str>,
    expected: String,
}

impl<'a> Section<'a> {
    /// Reads the whole document with `reader`.
    pub(super) fn root<T>(
        findings: &'a Findings,
        table: &'a DeTable<'a>,
        reader: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Option<T> {
        Self::read_with(findings, KeyPath::default(), 0..0, Some(table), reader)
    }

    /// Hands a section to `reader` and closes it.
    pub(super) fn read_with<T>(
        findings: &'a Findings,
        path: KeyPath,
        span: Span,
        table: Option<&'a DeTable<'a>>,
        reader: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Option<T> {
        let mut section = Self {
            findings,
            path,
            span,
            table,
            known: Vec::new(),
            missing: Vec::new(),
            outline: None,
        };
        let value = reader(&mut section);
        section.close();
        value
    }

    /// The section's own dotted path.
    pub(super) fn path(&self) -> &KeyPath {
        &self.path
    }

    /// Where the section is: its header, or its braces.
    pub(super) fn span(&self) -> Span {
        self.span.clone()
    }

    /// What is shared by all readers.
    pub(super) fn findings(&self) -> &'a Findings {
        self.findings
    }

    /// Whether `key` is written here.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.is_some_and(|table| table.contains_key(key))
    }

    /// Takes `key`, and turns what is there into a `T` with `convert`, which reports
    /// its own mistakes. `expected` describes a right value.
    pub(super) fn read<T>(
        &mut self,
        key: &'static str,
        expected: impl Into<String>,
        convert: impl FnOnce(&Found<'a>) -> Option<T>,
    ) -> Entry<'_, 'a, T> {
        self.known.push(key);
        let found = self.found(key);
        self.findings.offer(&self.path, key);
        let shapes = Shapes::default();
        let outcome = match found {
            None if self.outline.is_some() => {
                convert(&Found::outlined(self.findings, shapes.clone()));
                Outcome::Absent
            }
            None => Outcome::Absent,
            Some(found) => match convert(&found) {
                Some(value) => Outcome::Good(value),
                None => Outcome::Faulty,
            },
        };
        Entry::new(self, key, shapes, expected.into(), outcome)
    }

    /// Takes the table at `key`; one that is absent is read as an empty one, so that
    /// defaults are written in one place.
    pub(super) fn table<T>(
        &mut self,
        key: &'static str,
        reader: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Option<T> {
        self.known.push(key);
        let found = self.found(key);
        self.findings.offer(&self.path, key);
        match found {
            Some(found) => found.section(reader),
            None if self.outline.is_some() => {
                let mut value = None;
                let table = Self::outline(self.findings, |section| {
                    value = reader(section);
                    Some(())
                });
                let shapes = Shapes::default();
                shapes.add(Shape::Table(table));
                self.note(key, "", shapes, Presence::Optional);
                value
            }
            None => Self::read_with(
                self.findings,
                self.path.child(key),
                self.span.clone(),
                None,
                reader,
            ),
        }
    }

    /// Takes the table at `key` if it is there.
    pub(super) fn optional_table<T>(
        &mut self,
        key: &'static str,
        reader: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Option<Option<T>> {
        self.read(key, "a table", |found| found.section(reader))
            .optional()
    }

    /// Reports that one of `keys` has to be here, unless one is.
    pub(super) fn require_one(&mut self, keys: &[&'static str], expected: impl Into<String>) {
        self.rule(|| Rule::AnyOf(keys.to_vec()));
        if !keys.iter().any(|key| self.has(key)) {
            self.missing.push(Missing {
                keys: keys.to_vec(),
                expected: expected.into(),
            });
        }
    }

    /// Reports every one of `keys` but the first that is here.
    pub(super) fn at_most_one(&mut self, keys: &[&'static str], expected: &str) {
        self.rule(|| Rule::AtMostOne(keys.to_vec()));
        let mut present: Vec<(Span, &str)> = keys
            .iter()
            .filter_map(|key| Some((self.key_span(key)?, *key)))
            .collect();
        present.sort_by_key(|(span, _)| span.start);
        let mut present = present.into_iter();
        let Some((first, first_key)) = present.next() else {
            return;
        };
        for (span, key) in present {
            self.findings.push(
                Finding::new(
                    span,
                    self.path.child(key),
                    format!("`{key}` does not go together with `{first_key}`"),
                )
                .expected(expected)
                .related(first.clone(), "the other one"),
            );
        }
    }

    /// Reports that `other` has to be here, if `key` is.
    pub(super) fn needs(&mut self, key: &'static str, other: &'static str, expected: &str) {
        if self.has(key) {
            self.require_one(&[other], expected);
        }
        self.rule(|| Rule::Needs(key, other));
    }

    /// Reports `key` if it is here, and one of `rivals` in the place of `other`, without
    /// which it means nothing.
    pub(super) fn only_with(
        &mut self,
        key: &'static str,
        other: &'static str,
        rivals: &[&'static str],
    ) {
        self.rule(|| Rule::Needs(key, other));
        let has_rival = rivals.iter().any(|it| self.has(it)) && !self.has(other);
        if !self.has(key) || !has_rival {
            return;
        }
        let span = self.key_span(key).unwrap_or_else(|| self.span());
        let message = format!("`{key}` only goes together with `{other}`");
        let finding = Finding::new(span, self.path.child(key), message);
        self.findings
            .push(finding.expected(format!("no `{key}` here")));
    }

    /// Where `key` itself is written.
    pub(super) fn key_span(&self, key: &str) -> Option<Span> {
        let (key, _) = self.table?.get_key_value(key)?;
        Some(key.span())
    }

    fn found(&self, key: &str) -> Option<Found<'a>> {
        let value = self.table?.get(key)?;
        Some(Found::new(self.findings, self.path.child(key), value))
    }

    fn close(self) {
        let mut typos: Vec<&str> = Vec::new();
        for (key, _) in self.table.into_iter().flatten() {
            let text: &str = key.get_ref();
            if self.known.contains(&text) {
                continue;
            }
            let unused = self.known.iter().copied().filter(|known| !self.has(known));
            let near = nearest(text, unused).or_else(|| nearest(text, self.known.iter().copied()));
            typos.extend(near);
            self.report_unknown(text, key.span(), near);
        }
        for missing in &self.missing {
            let excused = missing
                .keys
                .iter()
                .any(|key| typos.contains(key) || self.findings.may_be_lost(&self.path, key));
            if !excused {
                self.report_missing(missing);
            }
        }
    }

    fn report_unknown(&self, key: &str, span: Span, near: Option<&str>) {
        let finding = Finding::new(span, self.path.child(key), "unknown key");
        let home = self.findings.home_of(&self.path, key);
        let mut known: Vec<String> = self.known.iter().map(|key| format!("`{key}`")).collect();
        known.sort();
        self.findings.push(match (near, home) {
            (Some(near), _) => finding
                .expected(format!("`{near}`"))
                .help(format!("did you mean `{near}`?")),
            (None, Some(home)) => finding
                .expected(format!("`{key}` in `{home}`"))
                .help(format!("this key belongs in `{home}`")),
            (None, None) => finding.expected(format!("one of {}", known.join(", "))),
        });
    }

    fn report_missing(&self, missing: &Missing) {
        let message = match missing.keys.as_slice() {
            [key] => format!("the required key `{key}` is missing"),
            keys => {
                let keys: Vec<String> = keys.iter().map(|key| format!("`{key}`")).collect();
                format!("one of {} is missing", keys.join(", "))
            }
        };
        let key = match missing.keys.as_slice() {
            [key] => self.path.child(key),
            _ => self.path.clone(),
        };
        let finding = Finding::new(self.span.clone(), key, message);
        self.findings
            .push(finding.expected(missing.expected.as_str()));
    }
}
