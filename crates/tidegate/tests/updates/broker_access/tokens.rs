//! JSON Web Tokens as passwords.

use std::time::{Duration, Instant, SystemTime};

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::json;
use tidegate_mqtt::codec::{ProtocolVersion, ReasonCode};

use super::{Login, MqttClient, settings};
use crate::harness::{Place, free_address};

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const RULES: &str = r#"
tokens = { keys = [{ algorithm = "HS256", file = "key" }], issuer = "us", claims = { kind = "device" } }
[[servers.broker.access]]
subscribe = "of/{user}"
"#;

fn token(user: &str, issuer: &str, lives: Duration) -> String {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let exp = (since.unwrap() + lives).as_secs();
    let claims = json!({ "sub": user, "iss": issuer, "kind": "device", "exp": exp });
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    encode(&Header::new(Algorithm::HS256), &claims, &key).unwrap()
}

#[test]
fn a_token_lets_its_owner_in_until_it_expires() {
    let (place, listen) = (Place::new(), free_address());
    std::fs::write(place.path("key"), format!("{SECRET}\n")).unwrap();
    let mut process = place.start(&settings(listen, RULES));
    let minute = Duration::from_secs(60);
    let wrong = token("ann", "them", minute);
    let (_, refused) = MqttClient::try_connect(listen, Login::user("ann", &wrong));
    assert_eq!(refused, ReasonCode::BadUserNameOrPassword);
    let (_, refused) = MqttClient::try_connect(listen, Login::user("ann", "secret"));
    assert_eq!(refused, ReasonCode::BadUserNameOrPassword);

    let long = token("ann", "us", minute);
    let mut stays = MqttClient::connect(listen, Login::user("whoever", &long));
    assert_eq!(stays.subscribe("of/ann"), ReasonCode::Success);
    assert_eq!(stays.subscribe("of/whoever"), ReasonCode::NotAuthorized);
    let (begun, short) = (Instant::now(), token("bob", "us", Duration::from_secs(3)));
    let mut goes = MqttClient::connect(listen, Login::user("bob", &short));
    let old = Login::user("cid", &short).in_version(ProtocolVersion::V311);
    let mut goes_silently = MqttClient::connect(listen, old);
    assert_eq!(goes.subscribe("of/bob"), ReasonCode::Success);
    assert_eq!(goes.sent_away(), ReasonCode::NotAuthorized);
    assert_eq!(goes_silently.receive(), None);
    // The seconds of a token are whole ones.
    assert!(begun.elapsed() >= Duration::from_secs(1));
    assert!(begun.elapsed() < minute);
    assert_eq!(stays.subscribe("of/ann"), ReasonCode::Success);
    process.stop();
}
