//! A file with the names of users and what is needed to check their passwords.
//!
//! One line for each, `NAME:SECRET`, where the secret is a hash by Argon2id in PHC form or
//! a verifier for SCRAM-SHA-256; a user may have one of each. Empty lines and lines that
//! begin with `#` are left alone.

pub mod edit;
mod known;
pub mod pool;
pub mod secret;

use std::collections::HashMap;
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Read};
use std::path::Path;
use std::sync::{Arc, LazyLock};

use self::pool::{PasswordPool, PoolError};
use self::secret::{Secret, SecretError};
use super::proof::{Credentials, PendingVerdict, Proof, Verdict};
use super::scram::secret::ScramSecret;
use crate::broker::access::{Identity, ProofMark};
use crate::codec::ReasonCode;

/// The longest file that is read, in bytes: some hundred thousand users.
pub const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// The longest name of a user, in bytes.
pub const USER_BYTES_MAX: usize = 1_024;

/// Why a password file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PasswordFileError {
    /// It cannot be read, or is no UTF-8.
    #[error("it cannot be read: {0}")]
    Read(#[from] io::Error),
    /// It is longer than [`FILE_BYTES_MAX`].
    #[error("it is longer than {FILE_BYTES_MAX} bytes")]
    TooLong,
    /// One of its lines is wrong.
    #[error("line {line}: {problem}")]
    Line {
        /// Which, from 1.
        line: usize,
        /// What is wrong.
        problem: LineError,
    },
}

/// What is wrong with a line. Never says what is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// It has no colon.
    #[error("this is not NAME:SECRET")]
    Form,
    /// The name is empty, too long, or has a character that cannot stand in it.
    #[error("the name is empty, longer than {USER_BYTES_MAX} bytes, or has control characters")]
    Name,
    /// The secret is none.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The user has a secret of this kind already.
    #[error("the user has a secret of this kind already")]
    Repeated,
}

/// The users of a password file.
#[derive(Debug, Default)]
pub struct PasswordFile {
    users: HashMap<Box<str>, Secrets>,
}

#[derive(Debug, Default)]
struct Secrets {
    hash: Option<Arc<Secret>>,
    scram: Option<Arc<Secret>>,
}

impl PasswordFile {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// It cannot be read, or has a line that is wrong: then nobody's password is known.
    pub fn read(path: &Path) -> Result<Self, PasswordFileError> {
        Self::parse(&read_text(path)?)
    }

    /// Understands what a file says.
    ///
    /// # Errors
    ///
    /// A line is wrong.
    pub fn parse(text: &str) -> Result<Self, PasswordFileError> {
        let mut file = Self::default();
        for (index, line) in text.lines().enumerate() {
            if is_entry(line) {
                let line_number = index + 1;
                file.add(line).map_err(|problem| PasswordFileError::Line {
                    line: line_number,
                    problem,
                })?;
            }
        }
        Ok(file)
    }

    fn add(&mut self, line: &str) -> Result<(), LineError> {
        let (user, secret) = line.split_once(':').ok_or(LineError::Form)?;
        if !is_user_name(user) {
            return Err(LineError::Name);
        }
        let secret: Secret = secret.parse()?;
        let secrets = self.users.entry(user.into()).or_default();
        let place = match secret {
            Secret::Argon2(_) => &mut secrets.hash,
            Secret::Scram(_) => &mut secrets.scram,
        };
        if place.replace(Arc::new(secret)).is_some() {
            return Err(LineError::Repeated);
        }
        Ok(())
    }

    /// Whether the user is in the file.
    #[must_use]
    pub fn contains(&self, user: &str) -> bool {
        self.users.contains_key(user)
    }

    /// What a plain password of this user is checked with.
    fn secret(&self, user: &str) -> Option<&Arc<Secret>> {
        let secrets = self.users.get(user)?;
        secrets.hash.as_ref().or(secrets.scram.as_ref())
    }

    /// Whether the user has the secret of this mark.
    pub(super) fn holds(&self, user: &str, mark: ProofMark) -> bool {
        self.users.get(user).is_some_and(|secrets| {
            let all = secrets.hash.iter().chain(&secrets.scram);
            all.into_iter().any(|secret| secret_mark(secret) == mark)
        })
    }

    /// The mark of the secret that SCRAM uses for this user.
    pub(super) fn scram_mark(&self, user: &str) -> Option<ProofMark> {
        let secret = self.users.get(user)?.scram.as_deref()?;
        Some(secret_mark(secret))
    }

    /// What SCRAM needs to know of this user.
    pub(super) fn scram(&self, user: &str) -> Option<&ScramSecret> {
        match self.users.get(user)?.scram.as_deref() {
            Some(Secret::Scram(secret)) => Some(secret),
            Some(Secret::Argon2(_)) | None => None,
        }
    }
}

fn secret_mark(secret: &Secret) -> ProofMark {
    // Keyed, since a mark may be seen by whom the secret is not for; the same key for every
    // file, since marks of one are compared with those of the next.
    static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    ProofMark(KEY.hash_one(secret.to_string()))
}

fn read_text(path: &Path) -> Result<String, PasswordFileError> {
    let mut text = String::new();
    let mut limited = File::open(path)?.take(FILE_BYTES_MAX + 1);
    if limited.read_to_string(&mut text)? as u64 > FILE_BYTES_MAX {
        return Err(PasswordFileError::TooLong);
    }
    Ok(text)
}

fn is_entry(line: &str) -> bool {
    !line.trim().is_empty() && !line.starts_with('#')
}

/// Whether a user can be called this in a file.
fn is_user_name(name: &str) -> bool {
    (1..=USER_BYTES_MAX).contains(&name.len())
        && !name.starts_with('#')
        && !name.contains(|char: char| char == ':' || char.is_control())
        && name.trim() == name
}

/// The proof by user name and password.
#[derive(Debug)]
pub struct PasswordProof {
    file: Arc<PasswordFile>,
    pool: Arc<PasswordPool>,
}

impl PasswordProof {
    /// A proof for the users of `file`, checked by `pool`.
    pub const fn new(file: Arc<PasswordFile>, pool: Arc<PasswordPool>) -> Self {
        Self { file, pool }
    }

    async fn verdict(&self, credentials: &Credentials) -> Verdict {
        let Some(user) = &credentials.user else {
            return Verdict::Unknown;
        };
        let password = credentials.password.clone().unwrap_or_default();
        let Some(secret) = self.file.secret(user.as_str()) else {
            // Takes as long as for a user that there is, which is not to be told apart.
            return match self.pool.verify_nobody(password).await {
                Err(PoolError::Busy) => Verdict::Refused(ReasonCode::ServerBusy),
                Ok(()) | Err(PoolError::Ended) => Verdict::Unknown,
            };
        };
        match self.pool.verify(secret, password).await {
            Ok(true) => Verdict::Accepted(Identity {
                user: Some(user.as_str().into()),
                address: credentials.address,
                mark: Some(secret_mark(secret)),
                ..Identity::default()
            }),
            Ok(false) => Verdict::Refused(ReasonCode::BadUserNameOrPassword),
            Err(PoolError::Busy) => Verdict::Refused(ReasonCode::ServerBusy),
            Err(PoolError::Ended) => Verdict::Refused(ReasonCode::ServerUnavailable),
        }
    }
}

impl Proof for PasswordProof {
    fn check<'a>(&'a self, credentials: &'a Credentials) -> PendingVerdict<'a> {
        Box::pin(self.verdict(credentials))
    }

    /// Also of what SCRAM has proved: the file is the same.
    fn holds(&self, identity: &Identity) -> bool {
        match (&identity.user, identity.mark) {
            (Some(user), Some(mark)) => self.file.holds(user, mark),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests;
