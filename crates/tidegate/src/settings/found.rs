//! A value of the file on its way to becoming a setting.
//!
//! Readers take a [`Found`] apart by type; what does not fit is reported where it is.

use super::findings::{Finding, Findings, KeyPath, Mention, Span};
use super::section::Section;
use toml::Spanned;
use toml::de::DeValue;

/// A value in the file: what it is, where it is, and which key it belongs to.
pub(super) struct Found<'a> {
    findings: &'a Findings,
    path: KeyPath,
    span: Span,
    value: &'a DeValue<'a>,
}

/// Longer values are cut when they are quoted in a message.
const QUOTED_CHARS_MAX: usize = 60;

impl<'a> Found<'a> {
    /// The value at `path`.
    pub(super) fn new(
        findings: &'a Findings,
        path: KeyPath,
        value: &'a Spanned<DeValue<'a>>,
    ) -> Self {
        Self {
            findings,
            path,
            span: value.span(),
            value: value.get_ref(),
        }
    }

    pub(super) fn findings(&self) -> &'a Findings {
        self.findings
    }

    pub(super) fn value(&self) -> &'a DeValue<'a> {
        self.value
    }

    pub(super) fn span(&self) -> Span {
        self.span.clone()
    }

    pub(super) fn path(&self) -> &KeyPath {
        &self.path
    }

    /// `value`, with where it came from.
    pub(super) fn mention<T>(&self, value: T) -> Mention<T> {
        Mention {
            value,
            span: self.span.clone(),
            key: self.path.clone(),
        }
    }

    /// Starts a finding about this value.
    pub(super) fn finding(&self, message: impl Into<String>) -> Finding {
        Finding::new(self.span.clone(), self.path.clone(), message)
    }

    /// Reports this value; always `None`, to be returned.
    pub(super) fn refuse<T>(
        &self,
        message: impl Into<String>,
        expected: impl Into<String>,
    ) -> Option<T> {
        self.findings.push(self.finding(message).expected(expected));
        None
    }

    /// Reports that this value is of the wrong kind.
    pub(super) fn wrong_type<T>(&self, expected: impl Into<String>) -> Option<T> {
        self.refuse(format!("found {}", self.describe()), expected)
    }

    /// The value in words: `the integer 10`.
    pub(super) fn describe(&self) -> String {
        match self.value {
            DeValue::String(text) => format!("the string {}", quoted(text)),
            DeValue::Integer(integer) => format!("the integer {integer}"),
            DeValue::Float(float) => format!("the number {float}"),
            DeValue::Boolean(boolean) => format!("`{boolean}`"),
            DeValue::Datetime(_) => "a date".to_owned(),
            DeValue::Array(_) => "an array".to_owned(),
            DeValue::Table(_) => "a table".to_owned(),
        }
    }

    /// The value as a string.
    pub(super) fn text(&self, expected: &str) -> Option<&'a str> {
        match self.value {
            DeValue::String(text) => Some(text),
            _ => self.wrong_type(expected),
        }
    }

    /// The elements of an array.
    pub(super) fn items(&self, expected: &str) -> Option<Vec<Self>> {
        let DeValue::Array(array) = self.value else {
            return self.wrong_type(expected);
        };
        let items = array.iter().enumerate();
        Some(
            items
                .map(|(index, item)| Self::new(self.findings, self.path.index(index), item))
                .collect(),
        )
    }

    /// The entries of a table whose keys are names, in the order of the file, with
    /// the span of each name.
    pub(super) fn entries(&self, expected: &str) -> Option<Vec<(&'a str, Span, Self)>> {
        let DeValue::Table(table) = self.value else {
            return self.wrong_type(expected);
        };
        let mut entries: Vec<_> = table
            .iter()
            .map(|(key, value)| {
                let name: &str = key.get_ref();
                let found = Self::new(self.findings, self.path.child(name), value);
                (name, key.span(), found)
            })
            .collect();
        entries.sort_by_key(|(_, span, _)| span.start);
        Some(entries)
    }

    /// The value as a table, read by `reader`.
    pub(super) fn section<T>(
        &self,
        reader: impl FnOnce(&mut Section<'a>) -> Option<T>,
    ) -> Option<T> {
        let DeValue::Table(table) = self.value else {
            return self.wrong_type("a table");
        };
        Section::read_with(
            self.findings,
            self.path.clone(),
            self.span.clone(),
            Some(table),
            reader,
        )
    }
}

/// `text` in quotes, cut if it is long.
pub(super) fn quoted(text: &str) -> String {
    if text.chars().count() <= QUOTED_CHARS_MAX {
        return format!("{text:?}");
    }
    let cut: String = text.chars().take(QUOTED_CHARS_MAX).collect();
    format!("{:?}", format!("{cut}..."))
}

/// Every `Some`, or `None` if one of them is not: after all have been looked at.
pub(super) fn all<T>(values: impl IntoIterator<Item = Option<T>>) -> Option<Vec<T>> {
    let values: Vec<Option<T>> = values.into_iter().collect();
    values.into_iter().collect()
}
