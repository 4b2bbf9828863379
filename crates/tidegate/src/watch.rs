//! Notices that the configuration file has changed.
//!
//! The directory is watched, not the file: editors write a new file and rename
//! it, and volumes of configuration maps swap a symbolic link. What counts is
//! that the content differs from what was read last.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use notify::event::ModifyKind;
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;

use crate::settings::FILE_BYTES_MAX;

/// How long the content must stay the same before it counts: writers write in steps.
const SETTLE: Duration = Duration::from_millis(100);

/// How often a content that goes on changing is looked at again before it counts anyway.
const SETTLE_ROUNDS_MAX: usize = 50;

/// What is known of a file's content. Clones share it.
#[derive(Clone, Debug)]
pub struct Known {
    path: PathBuf,
    content: Arc<Mutex<Option<Vec<u8>>>>,
}

impl Known {
    fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            content: Arc::default(),
        }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Takes the present content for known.
    pub fn note_content(&self) {
        let content = self.read();
        *self.content.lock().unwrap_or_else(PoisonError::into_inner) = content;
    }

    fn is(&self, content: &Option<Vec<u8>>) -> bool {
        *self.content.lock().unwrap_or_else(PoisonError::into_inner) == *content
    }

    /// As much of the file as settings are read from.
    fn read(&self) -> Option<Vec<u8>> {
        let mut content = Vec::new();
        let file = File::open(&self.path).ok()?;
        let mut limited = file.take(FILE_BYTES_MAX + 1);
        limited.read_to_end(&mut content).ok()?;
        Some(content)
    }
}

/// A watch on one file.
pub struct FileWatch {
    known: Known,
    events: Arc<Notify>,
    /// Something happened that was not looked at to the end.
    is_pending: bool,
    /// Held for its drop: it ends the watch.
    _watcher: RecommendedWatcher,
}

impl FileWatch {
    /// Watches the file at `path`.
    ///
    /// # Errors
    ///
    /// Its directory does not exist or cannot be watched.
    pub fn new(path: &Path) -> notify::Result<Self> {
        let events = Arc::new(Notify::new());
        let told = events.clone();
        let name = path.file_name().map(ToOwned::to_owned);
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            if !matches!(&event, Ok(event) if is_idle_talk(event, name.as_deref())) {
                told.notify_one();
            }
        })?;
        let directory = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        watcher.watch(directory, RecursiveMode::NonRecursive)?;
        let known = Known::new(path);
        known.note_content();
        Ok(Self {
            known,
            events,
            is_pending: false,
            _watcher: watcher,
        })
    }

    /// What is known of the file; whoever reads it for another reason notes it there.
    pub fn known(&self) -> Known {
        self.known.clone()
    }

    /// Waits until the content is another than the one known, and has settled.
    /// Cancellation safe.
    pub async fn changed(&mut self) {
        loop {
            if !self.is_pending {
                self.events.notified().await;
                self.is_pending = true;
            }
            let content = self.settled().await;
            self.is_pending = false;
            // A file that is gone or empty is being replaced, or rewritten in place.
            let is_whole = content.as_ref().is_some_and(|content| !content.is_empty());
            if is_whole && !self.known.is(&content) {
                return;
            }
        }
    }

    async fn settled(&self) -> Option<Vec<u8>> {
        let mut content = self.known.read();
        for _ in 0..SETTLE_ROUNDS_MAX {
            tokio::time::sleep(SETTLE).await;
            let present = self.known.read();
            if present == content {
                break;
            }
            content = present;
        }
        content
    }
}

/// Reading is no change, and what is written to other files of the directory is none
/// either. A symbolic link on the way to the file may have any name.
fn is_idle_talk(event: &Event, name: Option<&OsStr>) -> bool {
    let is_written = matches!(
        event.kind,
        EventKind::Modify(ModifyKind::Data(_) | ModifyKind::Metadata(_))
    );
    let is_other = || event.paths.iter().all(|path| path.file_name() != name);
    event.kind.is_access() || (is_written && is_other())
}
