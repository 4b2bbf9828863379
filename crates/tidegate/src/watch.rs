//! Notices that the configuration file has changed.
//!
//! The directory is watched, not the file: editors write a new file and rename
//! it, and volumes of configuration maps swap a symbolic link. What counts is
//! that the content differs from what was read last.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;

/// How long a burst of events is given to end: writers write in several steps.
const SETTLE: Duration = Duration::from_millis(100);

/// A watch on one file.
pub struct FileWatch {
    path: PathBuf,
    content: Option<Vec<u8>>,
    events: Arc<Notify>,
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
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // Reading a file is an event too, and no change.
            if !matches!(&event, Ok(event) if event.kind.is_access()) {
                told.notify_one();
            }
        })?;
        let directory = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        watcher.watch(directory, RecursiveMode::NonRecursive)?;
        let mut watch = Self {
            path: path.to_owned(),
            content: None,
            events,
            _watcher: watcher,
        };
        watch.note_content();
        Ok(watch)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Takes the present content for known.
    pub fn note_content(&mut self) {
        self.content = std::fs::read(&self.path).ok();
    }

    /// Waits until the content is another than the one known. Cancellation safe.
    pub async fn changed(&mut self) {
        loop {
            self.events.notified().await;
            tokio::time::sleep(SETTLE).await;
            // A file that is gone for a moment is being replaced.
            let content = std::fs::read(&self.path).ok();
            if content.is_some() && content != self.content {
                return;
            }
        }
    }
}
