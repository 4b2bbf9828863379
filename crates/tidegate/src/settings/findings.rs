//! Where the readers put what they found wrong, so that none of them has to stop.
//!
//! A `Findings` is shared by every reader of one file. It also gathers the facts
//! that can only be judged once the whole file is read: which upstreams routes
//! name and which addresses servers listen on (see `references`).

use super::effective::Defaults;
use super::syntax::Lost;
use crate::watch::{Content, Contents};
use std::cell::RefCell;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Bytes of the text, as the parser counts them.
pub(super) type Span = Range<usize>;

/// The dotted path of a key, written the way it would be in the file:
/// `servers.web.routes[0].path`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct KeyPath(String);

impl KeyPath {
    /// The path of `key` inside the table at `self`; quoted if it must be.
    pub(super) fn child(&self, key: &str) -> Self {
        let bare = !key.is_empty()
            && key
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
        let key = if bare {
            key.to_owned()
        } else {
            format!("{key:?}")
        };
        if self.0.is_empty() {
            Self(key)
        } else {
            Self(format!("{}.{key}", self.0))
        }
    }

    /// A path that is already written out.
    pub(super) fn written(path: String) -> Self {
        Self(path)
    }

    /// The path of element `index` of the array at `self`.
    pub(super) fn index(&self, index: usize) -> Self {
        Self(format!("{}[{index}]", self.0))
    }

    /// The path as text.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// One mistake, before its place is turned into a line and a column.
#[derive(Debug, Clone)]
pub(super) struct Finding {
    pub(super) span: Span,
    pub(super) key: KeyPath,
    pub(super) message: String,
    pub(super) expected: Option<String>,
    pub(super) help: Option<String>,
    /// Another place the mistake has to do with, and what is there.
    pub(super) related: Option<(Span, &'static str)>,
}

impl Finding {
    /// A finding at `span` about `key`.
    pub(super) fn new(span: Span, key: KeyPath, message: impl Into<String>) -> Self {
        Self {
            span,
            key,
            message: message.into(),
            expected: None,
            help: None,
            related: None,
        }
    }

    /// What would have been right.
    pub(super) fn expected(mut self, expected: impl Into<String>) -> Self {
        self.expected = Some(expected.into());
        self
    }

    /// What to do about it.
    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The other place it has to do with.
    pub(super) fn related(mut self, span: Span, label: &'static str) -> Self {
        self.related = Some((span, label));
        self
    }
}

/// A value somewhere in the file that has to agree with one elsewhere.
#[derive(Debug, Clone)]
pub(super) struct Mention<T> {
    pub(super) value: T,
    pub(super) span: Span,
    pub(super) key: KeyPath,
}

/// A key that a reader looked for.
#[derive(Debug)]
pub(super) struct Offer {
    section: KeyPath,
    key: &'static str,
}

/// Everything the readers of one file share.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// The directory relative paths are relative to.
    base: PathBuf,
    /// Offsets at which lines begin, for `place`.
    line_starts: Vec<usize>,
    text: String,
    lost: Vec<Lost>,
    list: RefCell<Vec<Finding>>,
    /// Every key some section offers.
    offered: RefCell<Vec<Offer>>,
    defaults: Defaults,
    /// Other files that were read, as they were.
    read_files: RefCell<Contents>,
}

impl Findings {
    /// For a `text` whose relative paths start at `base`; `lost` says which
    /// statements were too broken to be read.
    pub(super) fn new(text: &str, base: &Path, lost: Vec<Lost>) -> Self {
        let line_starts = std::iter::once(0)
            .chain(text.match_indices('\n').map(|(index, _)| index + 1))
            .collect();
        Self {
            base: base.to_owned(),
            line_starts,
            text: text.to_owned(),
            lost,
            ..Self::default()
        }
    }

    pub(super) fn push(&self, finding: Finding) {
        self.list.borrow_mut().push(finding);
    }

    /// The defaults that stand in for keys that are absent.
    pub(super) const fn defaults(&self) -> &Defaults {
        &self.defaults
    }

    /// Another file was read, and held these bytes.
    pub(super) fn note_read(&self, path: PathBuf, bytes: Option<&[u8]>) {
        let content = bytes.map(Content::of);
        self.read_files.borrow_mut().insert(path, content);
    }

    /// The files noted so far.
    pub(super) fn read_files(&self) -> Contents {
        self.read_files.borrow().clone()
    }

    /// `path` as the process has to open it.
    pub(super) fn resolve(&self, path: impl AsRef<Path>) -> PathBuf {
        self.base.join(path)
    }

    /// Line and column, both from 1, of a byte offset; columns count characters.
    pub(super) fn place(&self, offset: usize) -> super::Place {
        let line = self.line_starts.partition_point(|start| *start <= offset);
        let start = self.line_starts.get(line - 1).copied().unwrap_or(0);
        let before = self.text.get(start..offset.min(self.text.len()));
        super::Place {
            line,
            column: before.map_or(0, |before| before.chars().count()) + 1,
        }
    }

    /// Whether a missing `key` of `section` may be in a statement that could not be
    /// read; then its absence is no mistake of its own.
    pub(super) fn may_be_lost(&self, section: &KeyPath, key: &str) -> bool {
        self.lost.iter().any(|lost| lost.may_hold(section, key))
    }

    /// A reader of `section` looked for `key`.
    pub(super) fn offer(&self, section: &KeyPath, key: &'static str) {
        let section = section.clone();
        self.offered.borrow_mut().push(Offer { section, key });
    }

    /// The section below or beside `section` that does offer `key`, if just one does.
    pub(super) fn home_of(&self, section: &KeyPath, key: &str) -> Option<KeyPath> {
        let offered = self.offered.borrow();
        let parent = section.as_str().rsplit_once('.').map_or("", |(p, _)| p);
        let mut homes = offered.iter().filter(|offer| {
            let above = offer.section.as_str().rsplit_once('.');
            offer.key == key
                && offer.section != *section
                && above.is_some_and(|(above, _)| above == section.as_str() || above == parent)
        });
        let home = homes.next()?.section.clone();
        homes.next().is_none().then_some(home)
    }

    /// Every key that readers looked for, array indexes left out.
    #[cfg(test)]
    pub(super) fn offered_keys(&self) -> std::collections::BTreeSet<String> {
        let offered = self.offered.borrow();
        let paths = offered.iter().map(|offer| offer.section.child(offer.key));
        paths
            .map(|path| super::syntax::without_indexes(path.as_str()))
            .collect()
    }

    /// All findings in the order of the text, and how to find their lines.
    pub(super) fn take(&self) -> Vec<Finding> {
        let mut list = self.list.take();
        list.sort_by_key(|finding| finding.span.start);
        list
    }
}
