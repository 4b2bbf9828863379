//! SCRAM-SHA-256 (RFC 5802, RFC 7677) as an Authentication Method (section 4.12 of MQTT
//! 5.0): the client proves that it knows its password without sending it, and the server
//! that it knows what it is to know.
//!
//! Channel binding is not offered. Passwords are taken as their bytes: who prepares them
//! (RFC 4013) prepares them before they are stored and before they are used.

mod message;
pub mod secret;

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;

use aws_lc_rs::{constant_time, rand};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use self::message::{ClientFinal, ClientFirst};
use self::secret::{ITERATIONS, KEY_BYTES, Key, METHOD, NoRandomness, ScramSecret, hash, sign};
use super::passwords::PasswordFile;
use crate::broker::access::{Identity, ProofMark};
use crate::broker::auth::{Authenticator, Exchange, Step};
use crate::codec::ReasonCode;

/// Random bytes that the server adds to the client's.
const NONCE_BYTES: usize = 18;

/// The method for the users of a password file that have a verifier in it.
#[derive(Clone)]
pub struct ScramMethod {
    file: Arc<PasswordFile>,
    /// Makes up the salt of a user that there is not, the same each time.
    shadow: Key,
}

impl fmt::Debug for ScramMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScramMethod").finish_non_exhaustive()
    }
}

impl ScramMethod {
    /// For the users of this file.
    ///
    /// # Errors
    ///
    /// The system gives no randomness.
    pub fn new(file: Arc<PasswordFile>) -> Result<Self, NoRandomness> {
        Ok(Self {
            file,
            shadow: random()?,
        })
    }

    /// The verifier of a user, or one that no password fits: that a user is not there must
    /// not show before the end.
    fn secret(&self, user: &str) -> ScramSecret {
        self.file.scram(user).cloned().unwrap_or_else(|| {
            let made_up = sign(&self.shadow, user.as_bytes());
            ScramSecret {
                iterations: const { NonZeroU32::new(ITERATIONS).unwrap() },
                salt: made_up[..16].into(),
                stored_key: hash(&made_up),
                server_key: made_up,
            }
        })
    }
}

impl Authenticator for ScramMethod {
    fn begin(&self, method: &str, _: &str) -> Option<Box<dyn Exchange>> {
        (method == METHOD).then(|| {
            Box::new(ScramExchange {
                method: self.clone(),
                state: State::Begun,
            }) as Box<dyn Exchange>
        })
    }
}

#[derive(Debug)]
struct ScramExchange {
    method: ScramMethod,
    state: State,
}

#[derive(Debug)]
enum State {
    /// The client's first message is awaited.
    Begun,
    /// Its proof is.
    Challenged(Box<Challenge>),
    /// Nothing is.
    Over,
}

#[derive(Debug)]
struct Challenge {
    user: Box<str>,
    mark: Option<ProofMark>,
    secret: ScramSecret,
    /// How the client's second message says again what it said of channel binding.
    binding: String,
    nonce: String,
    /// The client's first message and the server's, as far as they are signed.
    signed: String,
}

impl Exchange for ScramExchange {
    fn step(&mut self, data: &[u8]) -> Step {
        let answer = match std::mem::replace(&mut self.state, State::Over) {
            State::Begun => self.challenge(data),
            State::Challenged(challenge) => challenge.verify(data),
            State::Over => None,
        };
        answer.unwrap_or(Step::Refuse(ReasonCode::NotAuthorized))
    }
}

impl ScramExchange {
    fn challenge(&mut self, data: &[u8]) -> Option<Step> {
        let first = ClientFirst::parse(data)?;
        let secret = self.method.secret(&first.user);
        let ours: [u8; NONCE_BYTES] = random().ok()?;
        let nonce = format!("{}{}", first.nonce, BASE64.encode(ours));
        let salt = BASE64.encode(&secret.salt);
        let answer = format!("r={nonce},s={salt},i={}", secret.iterations);
        self.state = State::Challenged(Box::new(Challenge {
            binding: BASE64.encode(first.header),
            signed: format!("{},{answer}", first.bare),
            mark: self.method.file.scram_mark(&first.user),
            user: first.user,
            secret,
            nonce,
        }));
        Some(Step::Continue(answer.into_bytes()))
    }
}

impl Challenge {
    fn verify(self, data: &[u8]) -> Option<Step> {
        let last = ClientFinal::parse(data)?;
        if last.binding != self.binding || last.nonce != self.nonce {
            return None;
        }
        let mut key = Key::try_from(BASE64.decode(last.proof).ok()?).ok()?;
        let signed = format!("{},{}", self.signed, last.without_proof);
        let signature = sign(&self.secret.stored_key, signed.as_bytes());
        for (byte, mask) in key.iter_mut().zip(signature) {
            *byte ^= mask;
        }
        constant_time::verify_slices_are_equal(&hash(&key), &self.secret.stored_key).ok()?;
        let proof = sign(&self.secret.server_key, signed.as_bytes());
        Some(Step::Done {
            identity: Identity {
                user: Some(self.user),
                mark: self.mark,
                ..Identity::default()
            },
            data: format!("v={}", BASE64.encode(proof)).into_bytes(),
        })
    }
}

fn random<const BYTES: usize>() -> Result<[u8; BYTES], NoRandomness> {
    let mut bytes = [0; BYTES];
    rand::fill(&mut bytes).map_err(|_| NoRandomness)?;
    Ok(bytes)
}

const _: () = assert!(
    KEY_BYTES >= 16,
    "the salt that is made up is cut from a key"
);

#[cfg(test)]
mod tests;
