//! Enhanced authentication by SCRAM-SHA-256 (sections 3.15 and 4.12; RFC 5802).

use std::io::Write as _;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use aws_lc_rs::{digest, hmac, pbkdf2};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::client::{Client, unique};
use crate::packet::{Packet, Publish, Reason};
use crate::property::{
    AUTHENTICATION_DATA, AUTHENTICATION_METHOD, MAXIMUM_PACKET_SIZE, Properties, REASON_STRING,
    USER_PROPERTY,
};
use crate::request::Connect;
use crate::server::{free_address, start};
use crate::wire::Wire;

const METHOD: &str = "SCRAM-SHA-256";
const BARE: &str = "n=ann,r=not-random-at-all";
const CONTINUE: u8 = 0x18;
const AGAIN: u8 = 0x19;

/// A broker with a password file, in which is ann, whose password is pencil.
fn listen() -> SocketAddr {
    static BROKER: OnceLock<(SocketAddr, Child)> = OnceLock::new();
    let begin = || {
        let users = Path::new(env!("CARGO_TARGET_TMPDIR")).join("conformance-users");
        // What an earlier run left.
        let _ = std::fs::remove_file(&users);
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"))
            .args(["mqtt", "passwd", "--scram"])
            .arg(&users)
            .arg("ann")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        command
            .stdin
            .take()
            .unwrap()
            .write_all(b"pencil\n")
            .unwrap();
        assert!(command.wait().unwrap().success());
        let address = free_address();
        let configuration = format!(
            "[servers.proved]\nprotocol = \"mqtt\"\nlisten = [\"{address}\"]\n\
             drain = \"1s\"\npasswords = \"{}\"\n",
            users.display()
        );
        (address, start("proved", &configuration, &[address]))
    };
    BROKER.get_or_init(begin).0
}

fn mac(key: &[u8], data: &str) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    hmac::sign(&key, data.as_bytes()).as_ref().to_vec()
}

/// The client's proof for a challenge.
fn prove(password: &str, challenge: &[u8]) -> String {
    let challenge = std::str::from_utf8(challenge).unwrap();
    let fields: Vec<&str> = challenge.split(',').map(|field| &field[2..]).collect();
    let [nonce, salt, iterations] = fields.as_slice() else {
        panic!("{challenge}");
    };
    let iterations: NonZeroU32 = iterations.parse().unwrap();
    let (salt, mut salted) = (BASE64.decode(salt).unwrap(), [0; 32]);
    let algorithm = pbkdf2::PBKDF2_HMAC_SHA256;
    pbkdf2::derive(
        algorithm,
        iterations,
        &salt,
        password.as_bytes(),
        &mut salted,
    );
    let without = format!("c=biws,r={nonce}");
    let key = mac(&salted, "Client Key");
    let stored = digest::digest(&digest::SHA256, &key);
    let signature = mac(stored.as_ref(), &format!("{BARE},{challenge},{without}"));
    let proof: Vec<u8> = key.iter().zip(signature).map(|(a, b)| a ^ b).collect();
    format!("{without},p={}", BASE64.encode(proof))
}

fn auth(reason: u8, method: &str, data: &str) -> Vec<u8> {
    let properties = Properties::default()
        .with(AUTHENTICATION_METHOD, method)
        .with(AUTHENTICATION_DATA, data);
    Wire::new().byte(reason).properties(&properties).frame(0xf0)
}

fn challenge(client: &mut Client) -> Reason {
    match client.next() {
        Packet::Auth(auth) => auth,
        other => panic!("not AUTH: {other:?}"),
    }
}

/// A connection that has begun to authenticate, and the AUTH it got.
fn begin(connect: &Connect) -> (Client, Reason) {
    let connect = connect
        .clone()
        .with(AUTHENTICATION_METHOD, METHOD)
        .with(AUTHENTICATION_DATA, format!("n,,{BARE}").as_str());
    let mut client = Client::open_at(listen());
    client.send(connect.bytes());
    let auth = challenge(&mut client);
    (client, auth)
}

fn answer(client: &mut Client, password: &str, auth_packet: &Reason) {
    let data = auth_packet.properties.data(AUTHENTICATION_DATA).unwrap();
    client.send(auth(CONTINUE, METHOD, &prove(password, data)));
}

/// A client that has proved who it is.
fn proved() -> Client {
    let (mut client, auth) = begin(&Connect::new(unique()));
    answer(&mut client, "pencil", &auth);
    let ack = client.connect_ack();
    assert_eq!(ack.reason, 0);
    assert_eq!(ack.properties.text(AUTHENTICATION_METHOD), Some(METHOD));
    client
}

#[test]
fn mqtt_3_15_2_1_auth_gives_one_of_its_reasons() {
    let (_, first) = begin(&Connect::new(unique()));
    assert_eq!(first.reason, CONTINUE);
    let mut client = proved();
    client.send(auth(AGAIN, METHOD, &format!("n,,{BARE}")));
    let again = challenge(&mut client);
    assert_eq!(again.reason, CONTINUE);
    answer(&mut client, "pencil", &again);
    assert_eq!(challenge(&mut client).reason, 0);
}

/// AUTH comes, within the client's bound and without this property.
fn fits_without(property: u8) {
    let (client, whole) = begin(&Connect::new(unique()));
    assert!(!whole.properties.has(property));
    let most: u32 = client.packet_bytes.try_into().unwrap();
    let (client, auth) = begin(&Connect::new(unique()).with(MAXIMUM_PACKET_SIZE, most));
    assert!(client.packet_bytes <= most as usize && !auth.properties.has(property));
}

#[test]
fn mqtt_3_15_2_2_no_reason_string_that_makes_auth_too_large() {
    fits_without(REASON_STRING);
}

#[test]
fn mqtt_3_15_2_3_no_user_property_that_makes_auth_too_large() {
    fits_without(USER_PROPERTY);
}

#[test]
fn mqtt_4_12_0_2_the_servers_auth_says_to_continue() {
    let (mut client, first) = begin(&Connect::new(unique()));
    assert_eq!(first.reason, CONTINUE);
    answer(&mut client, "pencil", &first);
    assert_eq!(client.connect_ack().reason, 0);
    client.ping();
}

#[test]
fn mqtt_4_12_0_3_a_clients_auth_that_does_not_continue_is_refused() {
    let (mut client, first) = begin(&Connect::new(unique()));
    let data = first.properties.data(AUTHENTICATION_DATA).unwrap();
    client.send(auth(AGAIN, METHOD, &prove("pencil", data)));
    assert!(client.connect_ack().reason >= 0x80);
    client.closed();
}

#[test]
fn mqtt_4_12_0_4_a_wrong_proof_is_refused_and_the_connection_ends() {
    let (mut client, first) = begin(&Connect::new(unique()));
    answer(&mut client, "pen", &first);
    let ack = client.connect_ack();
    assert!(ack.reason >= 0x80 && !ack.session_present, "{ack:?}");
    client.closed();
}

#[test]
fn mqtt_4_12_0_5_auth_and_connack_name_the_method() {
    let (mut client, first) = begin(&Connect::new(unique()));
    assert_eq!(first.properties.text(AUTHENTICATION_METHOD), Some(METHOD));
    answer(&mut client, "pencil", &first);
    let ack = client.connect_ack();
    assert_eq!(ack.reason, 0);
    assert_eq!(ack.properties.text(AUTHENTICATION_METHOD), Some(METHOD));
    client.send(auth(AGAIN, METHOD, &format!("n,,{BARE}")));
    let again = challenge(&mut client);
    assert_eq!(again.properties.text(AUTHENTICATION_METHOD), Some(METHOD));
}

#[test]
fn mqtt_4_12_1_1_authenticating_again_by_another_method_is_refused() {
    let mut client = proved();
    client.send(auth(AGAIN, "SCRAM-SHA-1", &format!("n,,{BARE}")));
    assert_eq!(client.disconnected(), 0x82);
}

#[test]
fn mqtt_4_12_1_2_a_wrong_proof_later_ends_the_connection() {
    let topic = unique();
    let mut client = proved();
    client.subscribe(&topic, 0);
    client.send(auth(AGAIN, METHOD, &format!("n,,{BARE}")));
    let again = challenge(&mut client);
    // Until then all goes on as it was.
    client.publish_to_itself(&topic);
    answer(&mut client, "pen", &again);
    assert_eq!(client.disconnected(), 0x87);
}

#[test]
fn mqtt_3_1_2_30_a_packet_before_the_end_of_authentication_is_not_served() {
    let topic = unique();
    let mut watcher = proved();
    watcher.subscribe(&topic, 0);
    let (mut client, _) = begin(&Connect::new(unique()));
    client.put(&Publish::new(&topic, "not let in"));
    assert!(client.connect_ack().reason >= 0x80);
    client.closed();
    watcher.publish_to_itself(&topic);
}
