//! What a server keeps of a password for SCRAM-SHA-256: enough to check a proof, and not
//! enough to make one (RFC 5802 section 3, RFC 7677).

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use aws_lc_rs::{constant_time, digest, hmac, pbkdf2, rand};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

/// The name of the method, in AUTH and in the password file.
pub const METHOD: &str = "SCRAM-SHA-256";

/// How often a new password is hashed; RFC 7677 asks for 4,096 at least.
pub const ITERATIONS: u32 = 32_768;

/// Client and server would both spend minutes on more.
const ITERATIONS_MAX: u32 = 10_000_000;
/// Fewer are no hindrance to who has the file (RFC 7677 section 4).
const ITERATIONS_MIN: u32 = 4_096;

const SALT_BYTES: usize = 16;
const SALT_BYTES_MAX: usize = 64;

/// The bytes of SHA-256.
pub(super) const KEY_BYTES: usize = digest::SHA256_OUTPUT_LEN;

/// A key, or a proof of one.
pub(super) type Key = [u8; KEY_BYTES];

/// The verifier of a password, written `SCRAM-SHA-256$ITERATIONS:SALT$STORED:SERVER` as
/// others write it too, the last three in base64.
#[derive(Clone, PartialEq, Eq)]
pub struct ScramSecret {
    pub(super) iterations: NonZeroU32,
    pub(super) salt: Box<[u8]>,
    pub(super) stored_key: Key,
    pub(super) server_key: Key,
}

/// Why a text is no such verifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ScramSecretError {
    /// It is not written like one.
    #[error("this is not SCRAM-SHA-256$ITERATIONS:SALT$STORED:SERVER")]
    Form,
    /// Its iterations are too few to protect or too many to bear.
    #[error("SCRAM takes {ITERATIONS_MIN} to {ITERATIONS_MAX} iterations")]
    Iterations,
}

/// The system gives no randomness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the system gives no random bytes")]
pub struct NoRandomness;

impl ScramSecret {
    /// A verifier of `password`, with a new salt. Takes some milliseconds.
    ///
    /// # Errors
    ///
    /// The system gives no randomness.
    pub fn new(password: &[u8]) -> Result<Self, NoRandomness> {
        let mut salt = [0; SALT_BYTES];
        rand::fill(&mut salt).map_err(|_| NoRandomness)?;
        let iterations = const { NonZeroU32::new(ITERATIONS).unwrap() };
        Ok(Self::derive(password, &salt, iterations))
    }

    pub(super) fn derive(password: &[u8], salt: &[u8], iterations: NonZeroU32) -> Self {
        let mut salted: Key = [0; KEY_BYTES];
        pbkdf2::derive(
            pbkdf2::PBKDF2_HMAC_SHA256,
            iterations,
            salt,
            password,
            &mut salted,
        );
        Self {
            iterations,
            salt: salt.into(),
            stored_key: hash(&sign(&salted, b"Client Key")),
            server_key: sign(&salted, b"Server Key"),
        }
    }

    /// Whether it is the verifier of `password`. Takes some milliseconds.
    #[must_use]
    pub fn verify(&self, password: &[u8]) -> bool {
        let other = Self::derive(password, &self.salt, self.iterations);
        constant_time::verify_slices_are_equal(&self.stored_key, &other.stored_key).is_ok()
    }
}

pub(super) fn sign(key: &Key, data: &[u8]) -> Key {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), data);
    let mut signature = [0; KEY_BYTES];
    signature.copy_from_slice(tag.as_ref());
    signature
}

pub(super) fn hash(data: &[u8]) -> Key {
    let mut hashed = [0; KEY_BYTES];
    hashed.copy_from_slice(digest::digest(&digest::SHA256, data).as_ref());
    hashed
}

impl fmt::Debug for ScramSecret {
    // Neither is this for a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScramSecret").finish_non_exhaustive()
    }
}

impl fmt::Display for ScramSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [salt, stored, server] =
            [&*self.salt, &self.stored_key, &self.server_key].map(|bytes| BASE64.encode(bytes));
        write!(f, "{METHOD}${}:{salt}${stored}:{server}", self.iterations)
    }
}

impl FromStr for ScramSecret {
    type Err = ScramSecretError;

    fn from_str(text: &str) -> Result<Self, ScramSecretError> {
        let (iterations, salt, stored, server) = (|| {
            let rest = text.strip_prefix(METHOD)?.strip_prefix('$')?;
            let (first, second) = rest.split_once('$')?;
            let ((iterations, salt), (stored, server)) =
                (first.split_once(':')?, second.split_once(':')?);
            let decode = |text| BASE64.decode(text).ok();
            Some((
                iterations.parse::<u32>().ok()?,
                decode(salt)?,
                Key::try_from(decode(stored)?).ok()?,
                Key::try_from(decode(server)?).ok()?,
            ))
        })()
        .ok_or(ScramSecretError::Form)?;
        if !(1..=SALT_BYTES_MAX).contains(&salt.len()) {
            return Err(ScramSecretError::Form);
        }
        let iterations = NonZeroU32::new(iterations)
            .filter(|it| (ITERATIONS_MIN..=ITERATIONS_MAX).contains(&it.get()))
            .ok_or(ScramSecretError::Iterations)?;
        Ok(Self {
            iterations,
            salt: salt.into(),
            stored_key: stored,
            server_key: server,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_secret_is_read_as_it_was_written() {
        let secret = ScramSecret::new(b"pencil").unwrap();
        assert_eq!(secret.to_string().parse(), Ok(secret.clone()));
        assert!(secret.verify(b"pencil"));
        assert!(!secret.verify(b"pencils"));
        assert_ne!(ScramSecret::new(b"pencil").unwrap(), secret);
    }

    #[test]
    fn what_is_no_secret_is_refused() {
        let good = ScramSecret::new(b"x").unwrap().to_string();
        for (bad, error) in [
            ("", ScramSecretError::Form),
            (&good[1..], ScramSecretError::Form),
            (&good[..good.len() - 4], ScramSecretError::Form),
            (
                &good.replacen("$32768", "$5", 1),
                ScramSecretError::Iterations,
            ),
            (
                &good.replacen("$32768", "$0", 1),
                ScramSecretError::Iterations,
            ),
        ] {
            assert_eq!(bad.parse::<ScramSecret>(), Err(error), "{bad}");
        }
    }
}
