//! Changes to a password file: a user's line replaced, added or removed, the rest of the
//! file as it was, and at no time a file that is half written.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::secret::Secret;
use super::{LineError, PasswordFile, PasswordFileError, is_entry, is_user_name, read_text};

/// Nobody but the owner reads it.
const MODE: u32 = 0o600;

/// Why a password file was not changed.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// The name cannot stand in a file.
    #[error("{}", LineError::Name)]
    Name,
    /// The file as it is cannot be used.
    #[error(transparent)]
    File(#[from] PasswordFileError),
    /// There is no such user.
    #[error("there is no such user")]
    Missing,
    /// The new file cannot be written.
    #[error("it cannot be written: {0}")]
    Write(io::Error),
}

/// What came of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edited {
    /// The user is new.
    Added,
    /// The user has another secret now.
    Changed,
}

/// Gives `user` this secret, in the place of one of the same kind. A file that is not
/// there is made.
///
/// # Errors
///
/// The name or the file is wrong; the file is as it was.
pub fn set(path: &Path, user: &str, secret: &Secret) -> Result<Edited, EditError> {
    if !is_user_name(user) {
        return Err(EditError::Name);
    }
    let before = match read_text(path) {
        Err(PasswordFileError::Read(error)) if error.kind() == io::ErrorKind::NotFound => {
            String::new()
        }
        read => read?,
    };
    let known = PasswordFile::parse(&before)?.contains(user);
    let new = format!("{user}:{secret}");
    let mut is_placed = false;
    let mut lines: Vec<&str> = before.lines().collect();
    for line in &mut lines {
        if is_of(line, user) && kind(line) == kind(&new) {
            *line = &new;
            is_placed = true;
        }
    }
    if !is_placed {
        lines.push(&new);
    }
    write(path, &lines)?;
    Ok(match known {
        true => Edited::Changed,
        false => Edited::Added,
    })
}

/// Takes all secrets of `user` out of the file.
///
/// # Errors
///
/// There is none, or the file is wrong; the file is as it was.
pub fn delete(path: &Path, user: &str) -> Result<(), EditError> {
    let before = read_text(path)?;
    if !PasswordFile::parse(&before)?.contains(user) {
        return Err(EditError::Missing);
    }
    let lines: Vec<&str> = before.lines().filter(|line| !is_of(line, user)).collect();
    write(path, &lines)
}

fn is_of(line: &str, user: &str) -> bool {
    is_entry(line) && line.split_once(':').is_some_and(|(name, _)| name == user)
}

/// What comes before the first `$` that has something before it: the kind of the secret.
fn kind(line: &str) -> Option<&str> {
    let (_, secret) = line.split_once(':')?;
    secret.split('$').find(|part| !part.is_empty())
}

/// Writes a new file and gives it the old one's name.
fn write(path: &Path, lines: &[&str]) -> Result<(), EditError> {
    let new = beside(path);
    let written = (|| {
        let mut file = create(&new)?;
        for line in lines {
            writeln!(file, "{line}")?;
        }
        file.sync_all()?;
        std::fs::rename(&new, path)?;
        sync_directory(path)
    })();
    written.map_err(|error| {
        // It may not have come so far.
        let _ = std::fs::remove_file(&new);
        EditError::Write(error)
    })
}

fn create(path: &Path) -> io::Result<File> {
    // One that a run before left behind would keep its mode.
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    let file = options.write(true).create_new(true).mode(MODE).open(path)?;
    // Whatever the umask takes away from the owner.
    file.set_permissions(std::fs::Permissions::from_mode(MODE))?;
    Ok(file)
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    name.into()
}

/// A file system may otherwise forget the new name in a crash.
fn sync_directory(path: &Path) -> io::Result<()> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    File::open(directory)?.sync_all()
}
