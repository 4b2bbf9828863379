//! `[servers.NAME.tokens]`: JSON Web Tokens as passwords.

use std::path::PathBuf;

use tidegate_mqtt::access::tokens::TokenRules;
use tidegate_mqtt::access::tokens::key::TokenAlgorithm;

use crate::settings::found::{Found, all};
use crate::settings::scalars::Zero;
use crate::settings::section::Section;

/// The most keys, and the most claims that are asked for.
const ENTRIES_MAX: usize = 64;

/// Which tokens are taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tokens {
    /// The keys that they are signed with; at least one.
    pub keys: Vec<TokenKeyFile>,
    /// What they have to say.
    pub rules: TokenRules,
}

/// Where a key is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenKeyFile {
    /// What it is for.
    pub algorithm: TokenAlgorithm,
    /// Its name in tokens; without one it is tried whatever they name.
    pub id: Option<String>,
    /// The file that holds it.
    pub file: PathBuf,
}

impl Tokens {
    pub(super) fn read(section: &mut Section<'_>) -> Option<Self> {
        section.about("JSON Web Tokens as passwords.");
        let expected = "an array such as [{ algorithm = \"ES256\", file = \"issuer.pem\" }]";
        let keys = section.read("keys", expected, |found| {
            let items = found.items(expected)?;
            match items.len() {
                0 => found.refuse("there is no key", expected),
                1..=ENTRIES_MAX => all(items.iter().map(|item| item.section(TokenKeyFile::read))),
                count => found.refuse(
                    format!("{count} keys are too many"),
                    format!("at most {ENTRIES_MAX} keys"),
                ),
            }
        });
        let keys = keys
            .about("The keys that tokens are signed with.")
            .required();
        let default = TokenRules::default();
        let issuer = section.string("issuer");
        let issuer = issuer
            .about("Who has to have issued them (`iss`).")
            .optional();
        let audience = section.string("audience");
        let audience = audience
            .about("Whom they have to be for (`aud`).")
            .optional();
        let user_claim = section.string("user_claim");
        let user_claim = user_claim.about("The claim that names the user.");
        let user_claim = user_claim.or(default.user_claim);
        let leeway = section.duration("leeway", Zero::Allowed);
        let leeway = leeway.about("How far the clocks may be apart.");
        let leeway = leeway.or(default.leeway);
        let claims = section.read("claims", CLAIMS, read_claims);
        let claims = claims.about("Claims that they have to make, and their values.");
        let claims = claims.or(Vec::new());
        Some(Self {
            keys: keys?,
            rules: TokenRules {
                issuer: issuer?,
                audience: audience?,
                user_claim,
                claims,
                leeway,
            },
        })
    }
}

impl TokenKeyFile {
    fn read(section: &mut Section<'_>) -> Option<Self> {
        let words = [
            ("HS256", TokenAlgorithm::HmacSha256),
            ("RS256", TokenAlgorithm::RsaSha256),
            ("ES256", TokenAlgorithm::EcdsaP256),
            ("EdDSA", TokenAlgorithm::Ed25519),
        ];
        section.about("A key that tokens are signed with.");
        let algorithm = section.choice("algorithm", &words);
        let algorithm = algorithm.about("What it is for.").required();
        let file = section.file("file");
        let file = file.about("The file that holds it: PEM, or the bytes of a shared secret.");
        let file = file.required();
        let id = section.string("id");
        let id =
            id.about("Its name in tokens (`kid`); without it, it is tried whatever they name.");
        let id = id.optional();
        Some(Self {
            algorithm: algorithm?,
            id: id?,
            file: file?,
        })
    }
}

const CLAIMS: &str = "a table of strings such as { role = \"device\" }";

fn read_claims(found: &Found<'_>) -> Option<Vec<(String, String)>> {
    let entries = found.entries(CLAIMS)?;
    if entries.len() > ENTRIES_MAX {
        let message = format!("{} claims are too many", entries.len());
        return found.refuse(message, format!("at most {ENTRIES_MAX} claims"));
    }
    let claims = entries.iter();
    all(claims.map(|(name, _, value)| Some(((*name).to_owned(), value.text(CLAIMS)?.to_owned()))))
}
