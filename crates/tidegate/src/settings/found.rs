//! A value of the file on its way to becoming a setting.
//!
//! Readers take a [`Found`] apart by type; what does not fit is reported where it is.

use super::findings::{Finding, Findings, KeyPath, Mention, Span};
use super::outline::{Naming, Shape, Shapes};
use super::section::Section;
use toml::Spanned;
use toml::de::DeValue;

/// A value in the file: what it is, where it is, and which key it belongs to.
pub(super) struct Found<'a> {
    findings: &'a Findings,
    path: KeyPath,
    span: Span,
    content: Content<'a>,
}

/// What there is to take apart.
#[derive(Clone)]
enum Content<'a> {
    Written(&'a DeValue<'a>),
    /// Nothing: what it is asked for is noted.
    Outlined(Shapes),
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
            content: Content::Written(value.get_ref()),
        }
    }

    /// No value, which notes in `shapes` what it is taken for.
    pub(super) fn outlined(findings: &'a Findings, shapes: Shapes) -> Self {
        Self {
            findings,
            path: KeyPath::default(),
            span: 0..0,
            content: Content::Outlined(shapes),
        }
    }

    pub(super) fn findings(&self) -> &'a Findings {
        self.findings
    }

    /// The value, if there is one.
    pub(super) fn value(&self) -> Option<&'a DeValue<'a>> {
        match self.content {
            Content::Written(value) => Some(value),
            Content::Outlined(_) => None,
        }
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
        match self.value() {
            None => "nothing".to_owned(),
            Some(DeValue::String(text)) => format!("the string {}", quoted(text)),
            Some(DeValue::Integer(integer)) => format!("the integer {integer}"),
            Some(DeValue::Float(float)) => format!("the number {float}"),
            Some(DeValue::Boolean(boolean)) => format!("`{boolean}`"),
            Some(DeValue::Datetime(_)) => "a date".to_owned(),
            Some(DeValue::Array(_)) => "an array".to_owned(),
            Some(DeValue::Table(_)) => "a table".to_owned(),
        }
    }

    /// The value as a string.
    pub(super) fn text(&self, expected: &str) -> Option<&'a str> {
        match &self.content {
            Content::Outlined(shapes) => {
                shapes.add(Shape::Text(expected.to_owned()));
                None
            }
            Content::Written(DeValue::String(text)) => Some(text),
            Content::Written(_) => self.wrong_type(expected),
        }
    }

    /// Whether this is an outline and no value; it then notes that `shape` may be here.
    pub(super) fn is_outlined(&self, shape: Shape) -> bool {
        if let Content::Outlined(shapes) = &self.content {
            shapes.add(shape);
            return true;
        }
        false
    }

    /// The elements of an array.
    pub(super) fn items(&self, expected: &str) -> Option<Vec<Self>> {
        match &self.content {
            Content::Outlined(shapes) => {
                let of = Shapes::default();
                shapes.add(Shape::Array(of.clone()));
                Some(vec![Self::outlined(self.findings, of)])
            }
            Content::Written(DeValue::Array(array)) => {
                let items = array.iter().enumerate();
                let item = |(index, item)| Self::new(self.findings, self.path.index(index), item);
                Some(items.map(item).collect())
            }
            Content::Written(_) => self.wrong_type(expected),
        }
    }

    /// The elements of an array, or the one string that is here without it.
    pub(super) fn text_or_items(&self, expected: &str) -> Option<Vec<Self>> {
        let itself = || Self {
            findings: self.findings,
            path: self.path.clone(),
            span: self.span(),
            content: self.content.clone(),
        };
        match &self.content {
            Content::Written(DeValue::String(_)) => Some(vec![itself()]),
            Content::Written(_) => self.items(expected),
            Content::Outlined(_) => {
                let items = self.items(expected)?;
                Some(std::iter::once(itself()).chain(items).collect())
            }
        }
    }

    /// The entries of a table whose keys are names, in the order of the file, with
    /// the span of each name.
    pub(super) fn entries(&self, expected: &str) -> Option<Vec<(&'a str, Span, Self)>> {
        self.named_entries(Naming::Free, expected)
    }

    /// As [`entries`](Self::entries), of a table of things that have a
    /// [`site_name`](super::site_name).
    pub(super) fn site_entries(&self, expected: &str) -> Option<Vec<(&'a str, Span, Self)>> {
        self.named_entries(Naming::Site, expected)
    }

    fn named_entries(&self, naming: Naming, expected: &str) -> Option<Vec<(&'a str, Span, Self)>> {
        let table = match &self.content {
            Content::Outlined(shapes) => {
                let of = Shapes::default();
                shapes.add(Shape::Names {
                    naming,
                    expected: expected.to_owned(),
                    of: of.clone(),
                });
                return Some(vec![("NAME", 0..0, Self::outlined(self.findings, of))]);
            }
            Content::Written(DeValue::Table(table)) => table,
            Content::Written(_) => return self.wrong_type(expected),
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
        match &self.content {
            Content::Outlined(shapes) => {
                shapes.add(Shape::Table(Section::outline(self.findings, reader)));
                None
            }
            Content::Written(DeValue::Table(table)) => Section::read_with(
                self.findings,
                self.path.clone(),
                self.span.clone(),
                Some(table),
                reader,
            ),
            Content::Written(_) => self.wrong_type("a table"),
        }
    }

    /// The value read by `reader` if it is a table, and otherwise by `other`.
    pub(super) fn section_or<T>(
        &self,
        reader: impl FnOnce(&mut Section<'a>) -> Option<T>,
        other: impl FnOnce(&Self) -> Option<T>,
    ) -> Option<T> {
        match &self.content {
            Content::Outlined(_) => {
                other(self);
                self.section(reader)
            }
            Content::Written(DeValue::Table(_)) => self.section(reader),
            Content::Written(_) => other(self),
        }
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
