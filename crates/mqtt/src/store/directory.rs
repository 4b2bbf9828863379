//! The directory of one store: a lock, fjall's files, and what was taken out of them.

use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use tidegate_runtime::clock;

use super::StoreError;
use super::tail::{self, Tail};

/// Files that are kept of what was damaged; the oldest go.
pub const QUARANTINE_FILES_MAX: usize = 32;

/// A directory that no other store uses for as long as this lives.
#[derive(Debug)]
pub(super) struct Directory {
    root: PathBuf,
    _lock: File,
}

impl Directory {
    /// Takes the directory, which is made if it is not there.
    pub(super) fn take(root: &Path) -> Result<Self, StoreError> {
        let failed = |source| StoreError::Directory {
            directory: root.to_owned(),
            source,
        };
        fs::create_dir_all(root.join("quarantine")).map_err(failed)?;
        let lock = File::options()
            .create(true)
            .append(true)
            .open(root.join("lock"))
            .map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self {
                root: root.to_owned(),
                _lock: lock,
            }),
            Err(TryLockError::WouldBlock) => Err(StoreError::InUse {
                directory: root.to_owned(),
            }),
            Err(TryLockError::Error(source)) => Err(failed(source)),
        }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Where fjall has its files.
    pub(super) fn database(&self) -> PathBuf {
        self.root.join("store")
    }

    /// Makes the database fit to be opened; returns how many bytes were damaged and have
    /// been set aside.
    pub(super) fn repair(&self) -> io::Result<u64> {
        let database = self.database();
        if !database.try_exists()? {
            return Ok(0);
        }
        // It is written last when a database is made: without it there is nothing in it.
        let marker = fs::metadata(database.join("version")).map(|marker| marker.len());
        if matches!(marker, Ok(0)) || is_not_found(&marker) {
            fs::remove_dir_all(&database)?;
            return Ok(0);
        }
        let mut damaged = 0;
        for entry in fs::read_dir(&database)? {
            let path = entry?.path();
            if path.extension().is_none_or(|extension| extension != "jnl") {
                continue;
            }
            match tail::inspect(&path)? {
                Tail::Whole => {}
                Tail::Unfinished => {
                    tracing::info!(journal = %path.display(), "the last write was interrupted and is undone");
                }
                Tail::Damaged { from, bytes } => {
                    let to = self.quarantine_path(path.file_name().unwrap_or_default())?;
                    tail::cut(&path, from, bytes, &to)?;
                    tracing::warn!(journal = %path.display(), from, bytes, quarantine = %to.display(),
                        "the end of a journal is damaged and was set aside; what it said is lost");
                    damaged += bytes;
                }
            }
        }
        Ok(damaged)
    }

    /// Sets the whole database aside.
    pub(super) fn set_aside(&self) -> io::Result<PathBuf> {
        let to = self.quarantine_path("store".as_ref())?;
        fs::rename(self.database(), &to)?;
        Ok(to)
    }

    /// A new name in the quarantine, with room for it.
    fn quarantine_path(&self, name: &std::ffi::OsStr) -> io::Result<PathBuf> {
        let quarantine = self.root.join("quarantine");
        let mut names: Vec<OsString> = fs::read_dir(&quarantine)?
            .map(|entry| entry.map(|entry| entry.file_name()))
            .collect::<Result<_, _>>()?;
        names.sort();
        let too_many = (names.len() + 1).saturating_sub(QUARANTINE_FILES_MAX);
        for oldest in &names[..too_many] {
            let oldest = quarantine.join(oldest);
            match oldest.is_dir() {
                true => fs::remove_dir_all(oldest)?,
                false => fs::remove_file(oldest)?,
            }
        }
        let since = clock::wall().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut new = OsString::from(format!("{:016}-", since.as_millis()));
        new.push(name);
        Ok(quarantine.join(new))
    }
}

fn is_not_found<T>(result: &io::Result<T>) -> bool {
    matches!(result, Err(error) if error.kind() == ErrorKind::NotFound)
}
