//! SCRAM-SHA-256 in AUTH packets, by a client that follows RFC 5802.

use std::num::NonZeroU32;

use aws_lc_rs::{digest, hmac, pbkdf2};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use tidegate_mqtt::codec::ReasonCode;

use super::passwords::passwd;
use super::{Login, MqttClient, settings};
use crate::harness::{Place, free_address};

const METHOD: &str = "SCRAM-SHA-256";
const RULES: &str = "passwords = \"users\"\n\
                     [[servers.broker.access]]\n\
                     subscribe = \"of/{user}\"\n";

fn first(user: &str) -> String {
    format!("n,,{}", bare(user))
}

fn bare(user: &str) -> String {
    format!("n={user},r=not-random-at-all")
}

fn mac(key: &[u8], data: &str) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    hmac::sign(&key, data.as_bytes()).as_ref().to_vec()
}

/// The proof for a challenge, and the server's answer if it knows the same.
fn prove(user: &str, password: &str, challenge: &[u8]) -> (String, String) {
    let challenge = std::str::from_utf8(challenge).unwrap();
    let fields: Vec<&str> = challenge.split(',').map(|field| &field[2..]).collect();
    let [nonce, salt, iterations] = fields.as_slice() else {
        panic!("{challenge}");
    };
    let mut salted = [0; 32];
    pbkdf2::derive(
        pbkdf2::PBKDF2_HMAC_SHA256,
        iterations.parse::<NonZeroU32>().unwrap(),
        &BASE64.decode(salt).unwrap(),
        password.as_bytes(),
        &mut salted,
    );
    let without = format!("c=biws,r={nonce}");
    let signed = format!("{},{challenge},{without}", bare(user));
    let client_key = mac(&salted, "Client Key");
    let stored = digest::digest(&digest::SHA256, &client_key);
    let signature = mac(stored.as_ref(), &signed);
    let proof: Vec<u8> = client_key
        .iter()
        .zip(signature)
        .map(|(a, b)| a ^ b)
        .collect();
    let server = mac(&mac(&salted, "Server Key"), &signed);
    (
        format!("{without},p={}", BASE64.encode(proof)),
        format!("v={}", BASE64.encode(server)),
    )
}

#[test]
fn a_client_proves_its_password_without_saying_it_and_again_later() {
    let (place, listen) = (Place::new(), free_address());
    let users = place.path("users");
    for user in ["ann", "bob"] {
        let (done, said) = passwd(&users, &[user, "--scram"], "pencil");
        assert!(done, "{said}");
    }
    let mut process = place.start(&settings(listen, RULES));
    let begin = |user: &str, method: &str| {
        let first = first(user);
        let login = Login {
            method: Some((method, first.as_bytes())),
            ..Login::anonymous("client")
        };
        MqttClient::begin(super::tcp(listen), login)
    };

    let mut client = begin("ann", METHOD);
    let (reason, challenge) = client.challenge();
    assert_eq!(reason, ReasonCode::ContinueAuthentication);
    let (proof, expected) = prove("ann", "pencil", &challenge);
    client.authenticate(ReasonCode::ContinueAuthentication, METHOD, proof.as_bytes());
    let ack = client.connect_ack();
    assert_eq!(ack.reason, ReasonCode::Success);
    assert_eq!(ack.properties.authentication_data.unwrap(), expected);
    assert_eq!(client.subscribe("of/ann"), ReasonCode::Success);
    assert_eq!(client.subscribe("of/bob"), ReasonCode::NotAuthorized);

    // Again, as somebody else: what was ann's is not bob's.
    client.authenticate(ReasonCode::ReAuthenticate, METHOD, first("bob").as_bytes());
    let (_, challenge) = client.challenge();
    let (proof, expected) = prove("bob", "pencil", &challenge);
    client.authenticate(ReasonCode::ContinueAuthentication, METHOD, proof.as_bytes());
    let done = (ReasonCode::Success, expected.into());
    assert_eq!(client.challenge(), done);
    assert_eq!(client.subscribe("of/bob"), ReasonCode::Success);
    assert_eq!(client.subscribe("of/ann"), ReasonCode::NotAuthorized);

    // Once more, with another password: that ends the connection.
    client.authenticate(ReasonCode::ReAuthenticate, METHOD, first("bob").as_bytes());
    let (_, challenge) = client.challenge();
    let (proof, _) = prove("bob", "pen", &challenge);
    client.authenticate(ReasonCode::ContinueAuthentication, METHOD, proof.as_bytes());
    assert_eq!(client.sent_away(), ReasonCode::NotAuthorized);

    for (user, password) in [("ann", "pen"), ("eve", "pencil")] {
        let mut client = begin(user, METHOD);
        let (_, challenge) = client.challenge();
        let (proof, _) = prove(user, password, &challenge);
        client.authenticate(ReasonCode::ContinueAuthentication, METHOD, proof.as_bytes());
        assert_eq!(client.connect_ack().reason, ReasonCode::NotAuthorized);
    }
    let mut client = begin("ann", "SCRAM-SHA-1");
    let refused = ReasonCode::BadAuthenticationMethod;
    assert_eq!(client.connect_ack().reason, refused);

    // What is stored for SCRAM does for who sends the password as well.
    let plain = MqttClient::try_connect(listen, Login::user("ann", "pencil"));
    assert_eq!(plain.1, ReasonCode::Success);

    // Whose user is gone is sent away, however it proved that it was that one.
    let mut client = begin("ann", METHOD);
    let (_, challenge) = client.challenge();
    let (proof, _) = prove("ann", "pencil", &challenge);
    client.authenticate(ReasonCode::ContinueAuthentication, METHOD, proof.as_bytes());
    assert_eq!(client.connect_ack().reason, ReasonCode::Success);
    assert!(passwd(&users, &["ann", "--delete"], "").0);
    assert_eq!(client.sent_away(), ReasonCode::NotAuthorized);
    process.stop();
}
