//! Keys that tokens are signed with.

use std::fmt;

use jsonwebtoken::{Algorithm, DecodingKey, Header};

/// The shortest secret that is taken, in bytes (RFC 7518 section 3.2).
pub const SECRET_BYTES_MIN: usize = 32;

/// How a token is signed (RFC 7518 section 3.1, RFC 8037 section 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenAlgorithm {
    /// `HS256`: who can check a token can make one.
    HmacSha256,
    /// `RS256`.
    RsaSha256,
    /// `ES256`.
    EcdsaP256,
    /// `EdDSA`.
    Ed25519,
}

/// Why a file holds no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenKeyError {
    /// Such a secret can be guessed.
    #[error("the secret is shorter than {SECRET_BYTES_MIN} bytes")]
    Short,
    /// It is no public key for the algorithm.
    #[error("this is no public key in PEM for the algorithm")]
    Pem,
}

/// A key that tokens are checked with.
#[derive(Clone)]
pub struct TokenKey {
    algorithm: Algorithm,
    id: Option<String>,
    key: DecodingKey,
}

impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenKey")
            .field("algorithm", &self.algorithm)
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl TokenKey {
    /// The key in what a file holds: a public key in PEM, or for HS256 the secret itself,
    /// behind which a line end is left out. With an `id` it is for tokens that name that,
    /// or none.
    ///
    /// # Errors
    ///
    /// It holds no such key.
    pub fn new(
        algorithm: TokenAlgorithm,
        id: Option<String>,
        file: &[u8],
    ) -> Result<Self, TokenKeyError> {
        let pem =
            |key: jsonwebtoken::errors::Result<DecodingKey>| key.map_err(|_| TokenKeyError::Pem);
        let (algorithm, key) = match algorithm {
            TokenAlgorithm::HmacSha256 => (Algorithm::HS256, secret(file)?),
            TokenAlgorithm::RsaSha256 => (Algorithm::RS256, pem(DecodingKey::from_rsa_pem(file))?),
            TokenAlgorithm::EcdsaP256 => (Algorithm::ES256, pem(DecodingKey::from_ec_pem(file))?),
            TokenAlgorithm::Ed25519 => (Algorithm::EdDSA, pem(DecodingKey::from_ed_pem(file))?),
        };
        Ok(Self { algorithm, id, key })
    }

    pub(super) const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    pub(super) const fn key(&self) -> &DecodingKey {
        &self.key
    }

    /// Whether a token with this header can be this key's. The key has its algorithm, and
    /// the token does not choose it.
    pub(super) fn may_have_signed(&self, header: &Header) -> bool {
        let is_named = match (&self.id, &header.kid) {
            (Some(id), Some(named)) => id == named,
            (None, _) | (_, None) => true,
        };
        is_named && header.alg == self.algorithm
    }
}

fn secret(file: &[u8]) -> Result<DecodingKey, TokenKeyError> {
    let secret = file.strip_suffix(b"\n").unwrap_or(file);
    let secret = secret.strip_suffix(b"\r").unwrap_or(secret);
    match secret.len() {
        SECRET_BYTES_MIN.. => Ok(DecodingKey::from_secret(secret)),
        _ => Err(TokenKeyError::Short),
    }
}
