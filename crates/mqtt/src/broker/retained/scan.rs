//! Which stored topics a filter matches, in sorted order.
//!
//! Topics sort so that all topics below a level lie next to each other: the
//! ones below `a` begin with `a/` and end before `a0`, because `0` follows `/`.
//! A wildcard is thus answered by leaping from one such range to the next
//! instead of reading what lies between.

use std::{collections::BTreeMap, ops::Bound, ops::ControlFlow};

/// The byte after `/`: where the topics below a level end.
const AFTER_SEPARATOR: char = '0';
/// Topics that begin with `$` end here.
const AFTER_DOLLAR: &str = "%";

pub(super) struct Scan<'a, 's, V, F> {
    pub(super) topics: &'a BTreeMap<Box<str>, V>,
    /// Topics up to this one have been seen by an earlier scan.
    pub(super) after: Option<&'s str>,
    pub(super) visit: F,
}

impl<'a, V, F: FnMut(&'a str, &'a V) -> ControlFlow<()>> Scan<'a, '_, V, F> {
    /// Visits every match after `self.after`.
    pub(super) fn run(&mut self, filter: &str) -> ControlFlow<()> {
        if filter == "#" {
            self.below("", "$")?;
            return self.range(AFTER_DOLLAR, |_| true);
        }
        self.step(&mut String::new(), filter)
    }

    /// Visits the matches of `filter` among the topics that begin with `prefix`.
    fn step(&mut self, prefix: &mut String, filter: &str) -> ControlFlow<()> {
        let (level, rest) = match filter.split_once('/') {
            Some((level, rest)) => (level, Some(rest)),
            None => (filter, None),
        };
        if level == "+" {
            return self.every_level(prefix, rest);
        }
        let outer = prefix.len();
        prefix.push_str(level);
        if matches!(rest, None | Some("#")) {
            self.one(prefix)?;
        }
        if let Some(rest) = rest {
            prefix.push('/');
            self.deeper(prefix, rest)?;
        }
        prefix.truncate(outer);
        ControlFlow::Continue(())
    }

    fn deeper(&mut self, prefix: &mut String, rest: &str) -> ControlFlow<()> {
        if rest == "#" {
            let prefix: &str = prefix;
            return self.range(prefix, |topic| topic.starts_with(prefix));
        }
        self.step(prefix, rest)
    }

    /// `+` below `prefix`, then `rest`.
    fn every_level(&mut self, prefix: &mut String, rest: Option<&str>) -> ControlFlow<()> {
        let outer = prefix.len();
        let mut cursor = Bound::Included(prefix.clone());
        loop {
            let Some((topic, value)) = self.first(&cursor) else {
                return ControlFlow::Continue(());
            };
            let Some(tail) = topic.strip_prefix(prefix.as_str()) else {
                return ControlFlow::Continue(());
            };
            if outer == 0 && topic.starts_with('$') {
                cursor = Bound::Included(AFTER_DOLLAR.to_owned());
                continue;
            }
            let Some(end) = tail.find('/') else {
                if matches!(rest, None | Some("#")) {
                    (self.visit)(topic, value)?;
                }
                cursor = Bound::Excluded(topic.to_owned());
                continue;
            };
            let level = &topic[..outer + end];
            if let Some(rest) = rest {
                prefix.push_str(&tail[..=end]);
                self.deeper(prefix, rest)?;
                prefix.truncate(outer);
            }
            cursor = Bound::Included(format!("{level}{AFTER_SEPARATOR}"));
        }
    }

    /// The first topic at or after `cursor` that has not been seen.
    fn first(&self, cursor: &Bound<String>) -> Option<(&'a str, &'a V)> {
        let start = match (cursor, self.after) {
            (Bound::Included(start), Some(after)) if &**start <= after => Bound::Excluded(after),
            (Bound::Excluded(start), Some(after)) if &**start <= after => Bound::Excluded(after),
            (Bound::Included(start), _) => Bound::Included(&**start),
            (Bound::Excluded(start), _) => Bound::Excluded(&**start),
            (Bound::Unbounded, _) => Bound::Unbounded,
        };
        let (topic, value) = self
            .topics
            .range::<str, _>((start, Bound::Unbounded))
            .next()?;
        Some((topic, value))
    }

    fn one(&mut self, topic: &str) -> ControlFlow<()> {
        if self.after.is_some_and(|after| topic <= after) {
            return ControlFlow::Continue(());
        }
        match self.topics.get_key_value(topic) {
            Some((topic, value)) => (self.visit)(topic, value),
            None => ControlFlow::Continue(()),
        }
    }

    /// Visits from `start` up to, not including, `end`.
    fn below(&mut self, start: &str, end: &str) -> ControlFlow<()> {
        self.range(start, |topic| topic < end)
    }

    /// Visits from `start` while `within` holds.
    fn range(&mut self, start: &str, within: impl Fn(&str) -> bool) -> ControlFlow<()> {
        let start = match self.after {
            Some(after) if start <= after => Bound::Excluded(after),
            _ => Bound::Included(start),
        };
        for (topic, value) in self.topics.range::<str, _>((start, Bound::Unbounded)) {
            if !within(topic) {
                break;
            }
            (self.visit)(topic, value)?;
        }
        ControlFlow::Continue(())
    }
}
