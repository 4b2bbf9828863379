#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;

use super::*;

/// What a client says and computes, by the words of RFC 5802 and none of the server's code
/// but the hash functions.
struct Client {
    bare: String,
    header: &'static str,
}

impl Client {
    fn new(user: &str) -> Self {
        Self {
            bare: format!("n={user},r=abcdef"),
            header: "n,,",
        }
    }

    fn first(&self) -> Vec<u8> {
        format!("{}{}", self.header, self.bare).into_bytes()
    }

    /// The second message, and what the server has to answer it with.
    fn answer(&self, challenge: &[u8], password: &str) -> (String, String) {
        let challenge = std::str::from_utf8(challenge).unwrap();
        let fields: Vec<_> = challenge.split(',').map(|field| &field[2..]).collect();
        let salt = BASE64.decode(fields[1]).unwrap();
        let secret = ScramSecret::derive(password.as_bytes(), &salt, fields[2].parse().unwrap());
        let mut salted = [0; 32];
        aws_lc_rs::pbkdf2::derive(
            aws_lc_rs::pbkdf2::PBKDF2_HMAC_SHA256,
            fields[2].parse().unwrap(),
            &salt,
            password.as_bytes(),
            &mut salted,
        );
        let client_key = sign(&salted, b"Client Key");
        let without = format!("c={},r={}", BASE64.encode(self.header), fields[0]);
        let signed = format!("{},{challenge},{without}", self.bare);
        let signature = sign(&secret.stored_key, signed.as_bytes());
        let proof: Vec<u8> = client_key
            .iter()
            .zip(signature)
            .map(|(a, b)| a ^ b)
            .collect();
        let expected = sign(&secret.server_key, signed.as_bytes());
        (
            format!("{without},p={}", BASE64.encode(proof)),
            format!("v={}", BASE64.encode(expected)),
        )
    }
}

fn method() -> ScramMethod {
    let secret = ScramSecret::new(b"pencil").unwrap();
    let hash = crate::access::passwords::secret::Secret::hash(b"pencil").unwrap();
    let text = format!("ann:{secret}\nbob:{hash}\na,b=c:{secret}\n");
    ScramMethod::new(Arc::new(PasswordFile::parse(&text).unwrap())).unwrap()
}

fn begin(method: &ScramMethod) -> Box<dyn Exchange> {
    method.begin(METHOD, "id").unwrap()
}

fn challenge(exchange: &mut dyn Exchange, first: &[u8]) -> Vec<u8> {
    match exchange.step(first) {
        Step::Continue(challenge) => challenge,
        other => panic!("a challenge is awaited, not {other:?}"),
    }
}

const REFUSED: Step = Step::Refuse(ReasonCode::NotAuthorized);

#[test]
fn both_sides_prove_what_they_know() {
    let method = method();
    for (written, user) in [("ann", "ann"), ("a=2Cb=3Dc", "a,b=c")] {
        let (client, mut exchange) = (Client::new(written), begin(&method));
        let challenge = challenge(exchange.as_mut(), &client.first());
        let (proof, expected) = client.answer(&challenge, "pencil");
        match exchange.step(proof.as_bytes()) {
            Step::Done { identity, data } => {
                assert_eq!(identity.user.as_deref(), Some(user));
                assert_eq!(data, expected.as_bytes());
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(exchange.step(proof.as_bytes()), REFUSED);
    }
}

/// The example of RFC 7677 section 3, with its nonces.
#[test]
fn the_example_of_the_rfc_comes_out() {
    let salt = BASE64.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
    let iterations = const { NonZeroU32::new(4_096).unwrap() };
    let nonce = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
    let challenge = Challenge {
        mark: None,
        user: "user".into(),
        secret: ScramSecret::derive(b"pencil", &salt, iterations),
        binding: "biws".to_owned(),
        nonce: nonce.to_owned(),
        signed: format!(
            "n=user,r=rOprNGfwEbeRWgbNEkqO,r={nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
        ),
    };
    let last = format!("c=biws,r={nonce},p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
    match challenge.verify(last.as_bytes()) {
        Some(Step::Done { data, .. }) => {
            assert_eq!(data, b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn who_is_not_there_is_challenged_like_anybody_and_refused() {
    let method = method();
    let ask = |user: &str| challenge(begin(&method).as_mut(), &Client::new(user).first());
    let salt = |challenge: &[u8]| {
        let text = String::from_utf8(challenge.to_vec()).unwrap();
        text.split(",s=").nth(1).unwrap().to_owned()
    };
    assert_eq!(salt(&ask("eve")), salt(&ask("eve")));
    assert_ne!(salt(&ask("eve")), salt(&ask("ada")));
    assert_ne!(ask("eve"), ask("eve"));
    for (user, password) in [("eve", "pencil"), ("bob", "pencil"), ("ann", "pen")] {
        let (client, mut exchange) = (Client::new(user), begin(&method));
        let challenge = challenge(exchange.as_mut(), &client.first());
        let (proof, _) = client.answer(&challenge, password);
        assert_eq!(exchange.step(proof.as_bytes()), REFUSED, "{user}");
    }
    assert!(method.begin("SCRAM-SHA-1", "id").is_none());
}

#[test]
fn an_answer_to_another_challenge_is_refused() {
    let (method, client) = (method(), Client::new("ann"));
    let (mut one, mut other) = (begin(&method), begin(&method));
    let first = challenge(one.as_mut(), &client.first());
    challenge(other.as_mut(), &client.first());
    let (proof, _) = client.answer(&first, "pencil");
    assert_eq!(other.step(proof.as_bytes()), REFUSED);
    // That channel binding is not supported was not to be taken out of the middle.
    let turned = Client {
        header: "y,,",
        ..Client::new("ann")
    };
    let first = challenge(begin(&method).as_mut(), &client.first());
    let mut exchange = begin(&method);
    challenge(exchange.as_mut(), &client.first());
    let (proof, _) = turned.answer(&first, "pencil");
    assert_eq!(exchange.step(proof.as_bytes()), REFUSED);
}

#[test]
fn what_is_not_offered_is_refused() {
    let method = method();
    for first in [
        "",
        "n,,n=ann",
        "n,,n=ann,r=",
        "n,,n=,r=abc",
        "n,,n=a=2,r=abc",
        "p=tls-unique,,n=ann,r=abc",
        "n,a=bob,n=ann,r=abc",
        "n,,m=x,n=ann,r=abc",
    ] {
        assert_eq!(begin(&method).step(first.as_bytes()), REFUSED, "{first}");
    }
    let acting_as_itself = b"n,a=ann,n=ann,r=abc";
    challenge(begin(&method).as_mut(), acting_as_itself);
}

proptest! {
    #[test]
    fn nonsense_is_refused_and_nothing_panics(first in "[ -~]{0,40}", last in "[ -~]{0,60}") {
        let method = method_once();
        let mut exchange = begin(method);
        if let Step::Continue(_) = exchange.step(first.as_bytes()) {
            prop_assert_eq!(exchange.step(last.as_bytes()), REFUSED);
        }
        let mut exchange = begin(method);
        challenge(exchange.as_mut(), b"n,,n=ann,r=abc");
        prop_assert_eq!(exchange.step(last.as_bytes()), REFUSED);
    }
}

/// Hashing for each case would take minutes.
fn method_once() -> &'static ScramMethod {
    static METHOD: std::sync::OnceLock<ScramMethod> = std::sync::OnceLock::new();
    METHOD.get_or_init(method)
}
