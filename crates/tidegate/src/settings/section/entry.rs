//! A key that was looked for: what it is about, and what its absence means.

use serde_json::Value;

use super::{Missing, Section};
use crate::settings::outline::{Presence, Shape, Shapes};

/// What became of a key.
pub(super) enum Outcome<T> {
    Absent,
    Faulty,
    Good(T),
}

/// How a value looks in the file.
type Show<T> = dyn Fn(&T) -> Value;

/// A key that was looked for; the last word says what its absence means.
#[must_use = "say what the absence of the key means"]
pub(in super::super) struct Entry<'s, 'a, T> {
    section: &'s mut Section<'a>,
    key: &'static str,
    about: &'static str,
    shapes: Shapes,
    expected: String,
    outcome: Outcome<T>,
    /// How a value looks in the file, if that can be said.
    show: Option<Box<Show<T>>>,
}

impl<'s, 'a, T> Entry<'s, 'a, T> {
    pub(super) fn new(
        section: &'s mut Section<'a>,
        key: &'static str,
        shapes: Shapes,
        expected: String,
        outcome: Outcome<T>,
    ) -> Self {
        Self {
            section,
            key,
            about: "",
            shapes,
            expected,
            outcome,
            show: None,
        }
    }

    /// Says in one line what the key is about.
    pub(in super::super) fn about(mut self, about: &'static str) -> Self {
        self.about = about;
        self
    }

    /// Says how a value looks in the file, so that a default can be shown.
    pub(in super::super) fn shown(mut self, show: impl Fn(&T) -> Value + 'static) -> Self {
        self.show = Some(Box::new(show));
        self
    }

    /// Says more exactly what may be here than the type of the value does.
    pub(in super::super) fn shaped(self, shape: Shape) -> Self {
        self.shapes.replace(shape);
        self
    }

    /// The value, or `default` when the key is absent. (Also when it is faulty: the
    /// mistake is reported already and the result will never be used.)
    pub(in super::super) fn or(self, default: T) -> T {
        let shown = self.show.as_ref().map(|show| show(&default));
        let section = self.section;
        if let (Outcome::Absent, Some(shown)) = (&self.outcome, &shown) {
            let path = section.path.child(self.key);
            section.findings.defaults().note(path, shown.clone());
        }
        let presence = shown.map_or(Presence::Optional, Presence::Default);
        section.note(self.key, self.about, self.shapes, presence);
        match self.outcome {
            Outcome::Good(value) => value,
            Outcome::Absent | Outcome::Faulty => default,
        }
    }

    /// The value; its absence is a mistake.
    pub(in super::super) fn required(self) -> Option<T> {
        let section = self.section;
        section.note(self.key, self.about, self.shapes, Presence::Required);
        match self.outcome {
            Outcome::Good(value) => Some(value),
            Outcome::Faulty => None,
            Outcome::Absent => {
                section.missing.push(Missing {
                    keys: vec![self.key],
                    expected: self.expected,
                });
                None
            }
        }
    }

    /// `Some(None)` when the key is absent, `None` when it is faulty.
    pub(in super::super) fn optional(self) -> Option<Option<T>> {
        let section = self.section;
        section.note(self.key, self.about, self.shapes, Presence::Optional);
        match self.outcome {
            Outcome::Good(value) => Some(Some(value)),
            Outcome::Absent => Some(None),
            Outcome::Faulty => None,
        }
    }
}
