//! A JSON Web Token (RFC 7519) in the place of the password.

pub mod key;

use std::time::Duration;

use bytes::Bytes;
use jsonwebtoken::{Header, Validation, decode, decode_header};
use serde_json::{Map, Value};

use self::key::TokenKey;
use super::proof::{Credentials, PendingVerdict, Proof, Verdict};
use crate::broker::access::Identity;
use crate::broker::time::Moment;
use crate::codec::ReasonCode;

/// The longest token that is looked at, in bytes.
pub const TOKEN_BYTES_MAX: usize = 16 * 1024;

/// What a token has to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRules {
    /// Its issuer (`iss`), if that matters.
    pub issuer: Option<String>,
    /// One of its audiences (`aud`). Without it a token for a certain audience is refused.
    pub audience: Option<String>,
    /// The claim with the user name.
    pub user_claim: String,
    /// Claims that it has to have, and their values.
    pub claims: Vec<(String, String)>,
    /// How much clocks may differ when times are looked at.
    pub leeway: Duration,
}

impl Default for TokenRules {
    fn default() -> Self {
        Self {
            issuer: None,
            audience: None,
            user_claim: "sub".to_owned(),
            claims: Vec::new(),
            leeway: Duration::ZERO,
        }
    }
}

/// Who has a token is the user that it names, whatever name CONNECT has, until the token
/// expires: then it is sent away. A token that does not expire is refused. A password that
/// is no token at all is for others to look at.
#[derive(Debug)]
pub struct TokenProof {
    keys: Vec<TokenKey>,
    rules: TokenRules,
}

impl TokenProof {
    /// Tokens under one of these keys that say what these rules ask for.
    pub const fn new(keys: Vec<TokenKey>, rules: TokenRules) -> Self {
        Self { keys, rules }
    }

    fn verdict(&self, credentials: &Credentials) -> Verdict {
        let Some(token) = &credentials.password else {
            return Verdict::Unknown;
        };
        if token.len() > TOKEN_BYTES_MAX || token.iter().filter(|byte| **byte == b'.').count() != 2
        {
            return Verdict::Unknown;
        }
        let Ok(header) = decode_header(token) else {
            return Verdict::Unknown;
        };
        match self.owner(token, &header) {
            Some(identity) => Verdict::Accepted(Identity {
                address: credentials.address,
                ..identity
            }),
            None => Verdict::Refused(ReasonCode::BadUserNameOrPassword),
        }
    }

    fn owner(&self, token: &Bytes, header: &Header) -> Option<Identity> {
        let claims = self
            .keys
            .iter()
            .filter(|key| key.may_have_signed(header))
            .find_map(|key| self.claims(token, key))?;
        for (name, wanted) in &self.rules.claims {
            if claims.get(name).and_then(Value::as_str) != Some(wanted) {
                return None;
            }
        }
        let user = claims.get(&self.rules.user_claim)?.as_str()?;
        if user.is_empty() {
            return None;
        }
        let expires_secs = claims.get("exp")?.as_f64()?;
        // The cast ends at the ends of its range.
        let expires_ms = (expires_secs * 1_000.0) as u64;
        let leeway_ms = self.rules.leeway.as_millis() as u64;
        Some(Identity {
            user: Some(user.into()),
            address: None,
            expires_at: Some(Moment::from_millis(expires_ms.saturating_add(leeway_ms))),
            mark: None,
        })
    }

    /// What the token says, if the key signed it and it is in force.
    fn claims(&self, token: &Bytes, key: &TokenKey) -> Option<Map<String, Value>> {
        let mut validation = Validation::new(key.algorithm());
        validation.leeway = self.rules.leeway.as_secs();
        validation.validate_nbf = true;
        validation.set_required_spec_claims(&["exp"]);
        if let Some(issuer) = &self.rules.issuer {
            validation.set_issuer(&[issuer]);
            validation.required_spec_claims.insert("iss".to_owned());
        }
        if let Some(audience) = &self.rules.audience {
            validation.set_audience(&[audience]);
            validation.required_spec_claims.insert("aud".to_owned());
        }
        let decoded = decode::<Map<String, Value>>(token, key.key(), &validation);
        decoded.ok().map(|token| token.claims)
    }
}

impl Proof for TokenProof {
    fn check<'a>(&'a self, credentials: &'a Credentials) -> PendingVerdict<'a> {
        // A signature is checked in less time than a thread would take to hear of it.
        Box::pin(std::future::ready(self.verdict(credentials)))
    }
}

#[cfg(test)]
mod tests;
