//! Notices that the configuration file has changed, or a file that it names: a certificate,
//! a key, the passwords of a broker.
//!
//! Directories are watched, not files: editors write a new file and rename it, and volumes
//! of configuration maps swap a symbolic link. What counts is that the content differs from
//! what was read last.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs::File;
use std::hash::{DefaultHasher, Hasher};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use notify::event::ModifyKind;
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;

use crate::settings::FILE_BYTES_MAX;

/// How long the content must stay the same before it counts: writers write in steps.
const SETTLE: Duration = Duration::from_millis(100);

/// How often a content that goes on changing is looked at again before it counts anyway.
const SETTLE_ROUNDS_MAX: usize = 50;

/// What tells one content of a file from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Content {
    digest: u64,
    bytes: usize,
}

impl Content {
    /// Of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        let mut hasher = DefaultHasher::new();
        hasher.write(bytes);
        Self {
            digest: hasher.finish(),
            bytes: bytes.len(),
        }
    }

    /// A file that is gone or empty is being replaced, or rewritten in place.
    fn is_whole(content: Option<Self>) -> bool {
        content.is_some_and(|content| content.bytes > 0)
    }
}

/// Files by name, with their content if they can be read.
pub type Contents = BTreeMap<PathBuf, Option<Content>>;

/// What is known of the files' content. Clones share it.
#[derive(Clone, Debug)]
pub struct Known {
    path: PathBuf,
    content: Arc<Mutex<Option<Content>>>,
    /// The files that are in use besides, as they were read.
    others: Arc<Mutex<Contents>>,
    /// What of them was read last, or is about to be, whether it could be used or not.
    tried: Arc<Mutex<Contents>>,
    others_changed: Arc<Notify>,
}

impl Known {
    fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            content: Arc::default(),
            others: Arc::default(),
            tried: Arc::default(),
            others_changed: Arc::default(),
        }
    }

    /// The configuration file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The files are about to be read: nobody need be told of what they say now.
    pub fn note_content(&self) {
        let look = self.look();
        *locked(&self.content) = look.config;
        *locked(&self.tried) = look.others;
    }

    /// From now on these are the files in use besides, and this is what is known of them.
    pub fn note_others(&self, others: Contents) {
        *locked(&self.others) = others;
        self.others_changed.notify_one();
    }

    /// Whether the files say what nobody has read.
    fn is_behind(&self, look: &Look) -> bool {
        if !Content::is_whole(look.config) {
            return false;
        }
        let (known, tried) = (locked(&self.others), locked(&self.tried));
        let is_other = |(path, content): (&PathBuf, &Option<Content>)| {
            let is_known = known.get(path).is_none_or(|known| known == content);
            Content::is_whole(*content) && !is_known && tried.get(path) != Some(content)
        };
        *locked(&self.content) != look.config || look.others.iter().any(is_other)
    }

    fn files(&self) -> Vec<PathBuf> {
        locked(&self.others).keys().cloned().collect()
    }

    /// What the files say now.
    fn look(&self) -> Look {
        let others = self.files().into_iter().map(|path| {
            let content = read(&path, u64::MAX);
            (path, content)
        });
        Look {
            config: read(&self.path, FILE_BYTES_MAX),
            others: others.collect(),
        }
    }
}

/// What it guards is whole whatever happened to whoever held it.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// As much of a file as is read from it.
fn read(path: &Path, bytes_max: u64) -> Option<Content> {
    let mut content = Vec::new();
    let mut limited = File::open(path).ok()?.take(bytes_max.saturating_add(1));
    limited.read_to_end(&mut content).ok()?;
    Some(Content::of(&content))
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Look {
    config: Option<Content>,
    others: Contents,
}

/// A watch on the configuration file and those that it names.
pub struct FileWatch {
    known: Known,
    events: Arc<Notify>,
    /// Something happened that was not looked at to the end.
    is_pending: bool,
    /// The names of files whose writing is no idle talk.
    names: Arc<Mutex<BTreeSet<OsString>>>,
    directories: BTreeSet<PathBuf>,
    watcher: RecommendedWatcher,
}

impl FileWatch {
    /// Watches the configuration file at `path`.
    ///
    /// # Errors
    ///
    /// Its directory does not exist or cannot be watched.
    pub fn new(path: &Path) -> notify::Result<Self> {
        let events = Arc::new(Notify::new());
        let told = events.clone();
        let names: Arc<Mutex<BTreeSet<OsString>>> = Arc::default();
        let known_names = Arc::clone(&names);
        let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            if !matches!(&event, Ok(event) if is_idle_talk(event, &locked(&known_names))) {
                told.notify_one();
            }
        })?;
        let known = Known::new(path);
        known.note_content();
        let mut watch = Self {
            known,
            events,
            is_pending: false,
            names,
            directories: BTreeSet::new(),
            watcher,
        };
        watch.watch_directory(directory(path))?;
        watch.watch_others();
        Ok(watch)
    }

    /// What is known of the files; whoever reads them for another reason notes it there.
    pub fn known(&self) -> Known {
        self.known.clone()
    }

    fn watch_directory(&mut self, directory: PathBuf) -> notify::Result<()> {
        self.watcher
            .watch(&directory, RecursiveMode::NonRecursive)?;
        self.directories.insert(directory);
        Ok(())
    }

    /// Watches where the files are that are in use, and nowhere else.
    fn watch_others(&mut self) {
        let mut files = self.known.files();
        files.push(self.known.path.clone());
        let names = files.iter().filter_map(|path| path.file_name());
        let names = names.map(ToOwned::to_owned).collect();
        *locked(&self.names) = names;
        let wanted: BTreeSet<PathBuf> = files.iter().map(|path| directory(path)).collect();
        for gone in &self.directories - &wanted {
            // It may not be there any more.
            let _ = self.watcher.unwatch(&gone);
            self.directories.remove(&gone);
        }
        for new in &wanted - &self.directories {
            let shown = new.display().to_string();
            if let Err(error) = self.watch_directory(new) {
                tracing::warn!(directory = shown, %error, "changes of files there go unnoticed");
            }
        }
    }

    /// Waits until the content of a file is another than the one known, and has settled.
    /// Cancellation safe.
    pub async fn changed(&mut self) {
        loop {
            while !self.is_pending {
                tokio::select! {
                    () = self.events.notified() => {}
                    () = self.known.others_changed.notified() => self.watch_others(),
                }
                // Before it was watched it may have changed as well.
                self.is_pending = true;
            }
            let look = self.settled().await;
            self.is_pending = false;
            if self.known.is_behind(&look) {
                *locked(&self.known.tried) = look.others;
                return;
            }
        }
    }

    async fn settled(&self) -> Look {
        let mut look = self.known.look();
        for _ in 0..SETTLE_ROUNDS_MAX {
            tokio::time::sleep(SETTLE).await;
            let present = self.known.look();
            if present == look {
                break;
            }
            look = present;
        }
        look
    }
}

fn directory(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Reading is no change, and what is written to other files of the directory is none
/// either. A symbolic link on the way to a file may have any name.
fn is_idle_talk(event: &Event, names: &BTreeSet<OsString>) -> bool {
    let is_written = matches!(
        event.kind,
        EventKind::Modify(ModifyKind::Data(_) | ModifyKind::Metadata(_))
    );
    let is_other = || {
        let mut paths = event.paths.iter();
        paths.all(|path| !path.file_name().is_some_and(|name| names.contains(name)))
    };
    event.kind.is_access() || (is_written && is_other())
}
