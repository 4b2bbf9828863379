//! A section that notes what its reader asks of it, and how keys depend on others.

use super::{KeyPath, Section};
use crate::settings::findings::Findings;
use crate::settings::outline::{Condition, Key, Presence, Rule, Shapes, Table, Variant};

impl<'a> Section<'a> {
    /// What `reader` asks of a section.
    pub(in super::super) fn outline<T>(
        findings: &'a Findings,
        reader: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Table {
        let mut section = Self {
            findings,
            path: KeyPath::default(),
            span: 0..0,
            table: None,
            known: Vec::new(),
            missing: Vec::new(),
            outline: Some(Table::default()),
        };
        reader(&mut section);
        section.outline.unwrap_or_default()
    }

    /// Whether what its reader asks is noted, and nothing is there.
    pub(in super::super) fn is_outlined(&self) -> bool {
        self.outline.is_some()
    }

    /// Says in one line what the section is about.
    pub(in super::super) fn about(&mut self, about: &'static str) {
        if let Some(outline) = &mut self.outline {
            outline.about = about;
        }
    }

    /// Reads the rest with `reader`, whose keys depend on the `word` at `key`, one of
    /// `words`.
    pub(in super::super) fn depending_on<W: Copy, T>(
        &mut self,
        key: &'static str,
        words: &[(&'static str, W)],
        word: W,
        mut reader: impl FnMut(&mut Self, W) -> Option<T>,
    ) -> Option<T> {
        if self.outline.is_none() {
            return reader(self, word);
        }
        for (name, word) in words {
            self.variant(Condition::Word(key, name), |section| reader(section, *word));
        }
        None
    }

    /// Reads the rest by `with` if `key` is here, and by `without` if it is not.
    pub(in super::super) fn depending_on_whether<T>(
        &mut self,
        key: &'static str,
        with: impl FnOnce(&mut Self) -> Option<T>,
        without: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Option<T> {
        if self.outline.is_some() {
            self.variant(Condition::Present(key), with);
            self.variant(Condition::Absent(key), without);
            return None;
        }
        match self.has(key) {
            true => with(self),
            false => without(self),
        }
    }

    fn variant<T>(&mut self, condition: Condition, reader: impl FnOnce(&mut Self) -> Option<T>) {
        let common = self.outline.replace(Table::default());
        reader(self);
        let table = std::mem::replace(&mut self.outline, common).unwrap_or_default();
        if let Some(outline) = &mut self.outline {
            outline.variants.push(Variant { condition, table });
        }
    }

    pub(super) fn rule(&mut self, rule: impl FnOnce() -> Rule) {
        if let Some(outline) = &mut self.outline {
            outline.rules.push(rule());
        }
    }

    pub(super) fn note(
        &mut self,
        name: &'static str,
        about: &'static str,
        shapes: Shapes,
        presence: Presence,
    ) {
        let Some(outline) = &mut self.outline else {
            return;
        };
        let about = match about {
            "" => shapes.about(),
            about => about,
        };
        outline.keys.push(Key {
            name,
            about,
            shapes,
            presence,
        });
    }
}
