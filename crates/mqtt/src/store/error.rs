//! Why a store does not open, or has failed.

use std::io;
use std::path::PathBuf;

/// Why a store does not open, or has failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process, or another server of this one, has it open.
    #[error("the directory {} is in use by another server", directory.display())]
    InUse {
        /// Which.
        directory: PathBuf,
    },
    /// The directory cannot be made, or used.
    #[error("the directory {} cannot be used", directory.display())]
    Directory {
        /// Which.
        directory: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It was written by a version of the program that stores otherwise.
    #[error("the directory {} was written by another version", directory.display())]
    Version {
        /// Which.
        directory: PathBuf,
    },
    /// The database cannot be opened, read or written.
    #[error("the store fails")]
    Database(#[from] DatabaseError),
    /// The store's thread cannot be started, or has ended.
    #[error("the store has stopped")]
    Stopped,
}

/// What the database says. It is no part of what we promise.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct DatabaseError(fjall::Error);

impl From<fjall::Error> for StoreError {
    fn from(error: fjall::Error) -> Self {
        Self::Database(DatabaseError(error))
    }
}

/// Whether the files are at fault, and not the disk or who uses it.
pub(super) fn is_damage(error: &fjall::Error) -> bool {
    use fjall::Error;
    match error {
        Error::Io(error) => is_damaged_data(error),
        Error::Storage(fjall::LsmError::Io(error)) => is_damaged_data(error),
        Error::Poisoned | Error::KeyspaceDeleted | Error::Locked => false,
        Error::InvalidVersion(version) => version.is_none(),
        _ => true,
    }
}

fn is_damaged_data(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData | io::ErrorKind::NotFound
    )
}
