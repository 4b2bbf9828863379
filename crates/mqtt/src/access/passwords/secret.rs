//! What is kept of one password.

use std::fmt;
use std::str::FromStr;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use aws_lc_rs::rand;

use crate::access::scram::secret::{METHOD, NoRandomness, ScramSecret, ScramSecretError};

/// The most memory that the check of one password may take, in KiB.
pub const MEMORY_KIB_MAX: u32 = 256 * 1024;
/// The most passes over it.
pub const PASSES_MAX: u32 = 100;

const SALT_BYTES: usize = 16;

/// What a password is checked with.
#[derive(Clone)]
pub enum Secret {
    /// Its hash by Argon2id (RFC 9106).
    Argon2(Box<PasswordHash>),
    /// Its verifier for SCRAM, which does for a plain password as well.
    Scram(ScramSecret),
}

/// Why a text is no secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// It is of no kind that is known.
    #[error("the secret is neither $argon2id$... nor SCRAM-SHA-256$...")]
    Kind,
    /// It is no hash by Argon2id.
    #[error("the secret is no complete hash by Argon2id")]
    Hash,
    /// Checking it would cost too much.
    #[error("Argon2id takes {MEMORY_KIB_MAX} KiB and {PASSES_MAX} passes at most")]
    Cost,
    /// It is no verifier for SCRAM.
    #[error(transparent)]
    Scram(#[from] ScramSecretError),
}

impl Secret {
    /// A hash by Argon2id with a new salt and the default costs. Takes some ten
    /// milliseconds and 19 MiB.
    ///
    /// # Errors
    ///
    /// The system gives no randomness.
    pub fn hash(password: &[u8]) -> Result<Self, NoRandomness> {
        let mut salt = [0; SALT_BYTES];
        rand::fill(&mut salt).map_err(|_| NoRandomness)?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::DEFAULT);
        let hash = argon2.hash_password_with_salt(password, &salt);
        Ok(Self::Argon2(Box::new(hash.expect(
            "MQTT's passwords are shorter than Argon2's, and the salt is long enough",
        ))))
    }

    /// Whether `password` is the one. Takes as long as its costs say.
    pub(super) fn verify(&self, password: &[u8]) -> bool {
        match self {
            Self::Argon2(hash) => Argon2::default().verify_password(password, &**hash).is_ok(),
            Self::Scram(secret) => secret.verify(password),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Argon2(_) => "Argon2(..)",
            Self::Scram(_) => "Scram(..)",
        })
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Argon2(hash) => hash.fmt(f),
            Self::Scram(secret) => secret.fmt(f),
        }
    }
}

impl FromStr for Secret {
    type Err = SecretError;

    fn from_str(text: &str) -> Result<Self, SecretError> {
        if text.starts_with(METHOD) {
            return Ok(Self::Scram(text.parse()?));
        }
        if !text.starts_with("$argon2id$") {
            return Err(SecretError::Kind);
        }
        let hash = PasswordHash::new(text).map_err(|_| SecretError::Hash)?;
        if hash.salt.is_none() || hash.hash.is_none() {
            return Err(SecretError::Hash);
        }
        let params = Params::try_from(&hash).map_err(|_| SecretError::Hash)?;
        if params.m_cost() > MEMORY_KIB_MAX || params.t_cost() > PASSES_MAX {
            return Err(SecretError::Cost);
        }
        Ok(Self::Argon2(Box::new(hash)))
    }
}
