#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::SystemTime;

use jsonwebtoken::{Algorithm, EncodingKey, encode};
use serde_json::json;

use super::key::{TokenAlgorithm, TokenKeyError};
use super::*;

const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";

fn now_secs() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap().as_secs()
}

fn token(claims: &Value) -> Bytes {
    signed(
        &Header::new(Algorithm::HS256),
        claims,
        &EncodingKey::from_secret(SECRET),
    )
}

fn signed(header: &Header, claims: &Value, key: &EncodingKey) -> Bytes {
    encode(header, claims, key).unwrap().into()
}

fn good() -> Value {
    json!({"sub": "ann", "exp": now_secs() + 60, "iss": "us", "aud": ["a", "b"], "role": "x"})
}

fn with(mut claims: Value, name: &str, value: Value) -> Value {
    claims[name] = value;
    claims
}

fn proof(rules: TokenRules) -> TokenProof {
    let key = TokenKey::new(TokenAlgorithm::HmacSha256, None, SECRET).unwrap();
    TokenProof::new(vec![key], rules)
}

fn strict() -> TokenProof {
    proof(TokenRules {
        issuer: Some("us".to_owned()),
        audience: Some("b".to_owned()),
        claims: vec![("role".to_owned(), "x".to_owned())],
        ..TokenRules::default()
    })
}

fn verdict(proof: &TokenProof, token: Bytes) -> Verdict {
    proof.verdict(&Credentials {
        password: Some(token),
        ..Credentials::default()
    })
}

const REFUSED: Verdict = Verdict::Refused(ReasonCode::BadUserNameOrPassword);

#[test]
fn a_token_says_who_comes_in_and_until_when() {
    let exp = now_secs() + 60;
    match verdict(&strict(), token(&with(good(), "exp", exp.into()))) {
        Verdict::Accepted(identity) => {
            assert_eq!(identity.user.as_deref(), Some("ann"));
            let until = Moment::from_millis(exp * 1_000);
            assert_eq!(identity.expires_at, Some(until));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_token_that_does_not_say_what_it_must_is_refused() {
    let refused = |claims: Value| assert_eq!(verdict(&strict(), token(&claims)), REFUSED);
    refused(with(good(), "exp", (now_secs() - 5).into()));
    refused(with(good(), "exp", Value::Null));
    refused(with(good(), "exp", "tomorrow".into()));
    refused(with(good(), "nbf", (now_secs() + 50).into()));
    refused(with(good(), "iss", "them".into()));
    refused(with(good(), "iss", Value::Null));
    refused(with(good(), "aud", "c".into()));
    refused(with(good(), "aud", Value::Null));
    refused(with(good(), "role", "y".into()));
    refused(with(good(), "role", Value::Null));
    refused(with(good(), "sub", Value::Null));
    refused(with(good(), "sub", "".into()));
    // Without an audience in the rules it is for somebody else.
    let lenient = proof(TokenRules::default());
    assert_eq!(verdict(&lenient, token(&good())), REFUSED);
}

#[test]
fn a_token_by_another_key_or_none_is_refused() {
    let other = EncodingKey::from_secret(b"fedcba9876543210fedcba9876543210");
    let header = Header::new(Algorithm::HS256);
    assert_eq!(
        verdict(&strict(), signed(&header, &good(), &other)),
        REFUSED
    );
    let longer = Header::new(Algorithm::HS512);
    let key = EncodingKey::from_secret(SECRET);
    assert_eq!(verdict(&strict(), signed(&longer, &good(), &key)), REFUSED);
    let whole = token(&good());
    let cut = whole.slice(..whole.len() - 1);
    assert_eq!(verdict(&strict(), cut), REFUSED);
    // {"alg":"none"} is no algorithm here, and so this is no token.
    let none: Bytes = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbm4ifQ.".into();
    assert_eq!(verdict(&strict(), none), Verdict::Unknown);
}

#[test]
fn a_password_that_is_no_token_is_left_to_others() {
    for password in ["", "secret", "a.b.c", "a.b"] {
        let verdict = verdict(&strict(), password.into());
        assert_eq!(verdict, Verdict::Unknown, "{password}");
    }
    let long = vec![b'.'; TOKEN_BYTES_MAX + 1];
    assert_eq!(verdict(&strict(), long.into()), Verdict::Unknown);
    let nothing = Credentials::default();
    assert_eq!(strict().verdict(&nothing), Verdict::Unknown);
}

#[test]
fn a_public_key_checks_what_its_private_key_signed() {
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let key = EncodingKey::from_ec_pem(pair.serialize_pem().as_bytes()).unwrap();
    check_pair(TokenAlgorithm::EcdsaP256, Algorithm::ES256, &pair, &key);
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let key = EncodingKey::from_ed_pem(pair.serialize_pem().as_bytes()).unwrap();
    check_pair(TokenAlgorithm::Ed25519, Algorithm::EdDSA, &pair, &key);
}

fn check_pair(
    ours: TokenAlgorithm,
    theirs: Algorithm,
    pair: &rcgen::KeyPair,
    signing: &EncodingKey,
) {
    let public = pair.public_key_pem();
    let proof = |id: Option<&str>| {
        let key = TokenKey::new(ours, id.map(Into::into), public.as_bytes()).unwrap();
        let rules = TokenRules {
            audience: Some("a".to_owned()),
            ..TokenRules::default()
        };
        TokenProof::new(vec![key], rules)
    };
    let mut header = Header::new(theirs);
    let token = signed(&header, &good(), signing);
    assert!(matches!(
        verdict(&proof(None), token.clone()),
        Verdict::Accepted(_)
    ));
    assert!(matches!(
        verdict(&proof(Some("1")), token),
        Verdict::Accepted(_)
    ));
    header.kid = Some("2".to_owned());
    let token = signed(&header, &good(), signing);
    assert!(matches!(
        verdict(&proof(None), token.clone()),
        Verdict::Accepted(_)
    ));
    assert_eq!(verdict(&proof(Some("1")), token), REFUSED);
    // The public key is no secret: nothing that is signed with it may come in.
    let header = Header::new(Algorithm::HS256);
    let forged = signed(
        &header,
        &good(),
        &EncodingKey::from_secret(public.as_bytes()),
    );
    assert_eq!(verdict(&proof(None), forged), REFUSED);
}

#[test]
fn a_key_that_protects_nothing_is_refused() {
    let key = |algorithm, file: &[u8]| TokenKey::new(algorithm, None, file).map(drop);
    let short = key(
        TokenAlgorithm::HmacSha256,
        b"0123456789abcdef0123456789abcde\n",
    );
    assert_eq!(short, Err(TokenKeyError::Short));
    assert_eq!(key(TokenAlgorithm::HmacSha256, SECRET), Ok(()));
    for algorithm in [
        TokenAlgorithm::RsaSha256,
        TokenAlgorithm::EcdsaP256,
        TokenAlgorithm::Ed25519,
    ] {
        assert_eq!(key(algorithm, SECRET), Err(TokenKeyError::Pem));
    }
}
