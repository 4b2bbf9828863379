//! Users and their passwords, from the file that `tidegate mqtt passwd` writes.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use tidegate_mqtt::codec::{ProtocolVersion, ReasonCode};

use super::{Login, MqttClient, settings};
use crate::harness::{Place, Tidegate, free_address};

/// Runs `tidegate mqtt passwd`; what it says, and whether it went well.
pub(crate) fn passwd(file: &Path, arguments: &[&str], password: &str) -> (bool, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_tidegate"))
        .args(["mqtt", "passwd", file.to_str().unwrap()])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // One that is told to delete does not read.
    let _ = writeln!(stdin, "{password}");
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(said).unwrap())
}

fn set(file: &Path, user: &str, password: &str) {
    let (done, said) = passwd(file, &[user], password);
    assert!(done, "{said}");
}

/// A broker with the users ann and bob.
fn guarded(listen: SocketAddr, rest: &str) -> Tidegate {
    let place = Place::new();
    let file = place.path("users");
    set(&file, "ann", "apple");
    set(&file, "bob", "pear");
    place.start(&settings(listen, &format!("passwords = \"users\"\n{rest}")))
}

fn answer(listen: SocketAddr, login: Login<'_>) -> ReasonCode {
    MqttClient::try_connect(listen, login).1
}

#[test]
fn the_password_decides_and_the_refusal_says_why() {
    let listen = free_address();
    let mut process = guarded(
        listen,
        "[[servers.broker.access]]\nuser = \"*\"\npublish = \"of/{user}\"\n\
         subscribe = \"of/{user}\"\n",
    );
    for version in [ProtocolVersion::V5, ProtocolVersion::V311] {
        let ask = |login: Login<'_>| answer(listen, login.in_version(version));
        assert_eq!(ask(Login::user("ann", "apple")), ReasonCode::Success);
        let wrong = ReasonCode::BadUserNameOrPassword;
        assert_eq!(ask(Login::user("ann", "pear")), wrong);
        assert_eq!(ask(Login::user("cid", "apple")), wrong);
        let without = Login {
            password: None,
            ..Login::user("ann", "")
        };
        assert_eq!(ask(without), wrong);
        assert_eq!(ask(Login::anonymous("x")), ReasonCode::NotAuthorized);
        let mut bob = MqttClient::connect(listen, Login::user("bob", "pear"));
        assert_eq!(bob.subscribe("of/bob"), ReasonCode::Success);
        assert_eq!(bob.subscribe("of/ann"), ReasonCode::NotAuthorized);
    }
    process.stop();
}

#[test]
fn a_client_may_send_on_while_its_password_is_checked() {
    let listen = free_address();
    let mut process = guarded(listen, "");
    // On both workers, and not one after the other.
    let mut clients: Vec<_> = (0..8)
        .map(|number| {
            let id = format!("client-{number}");
            let login = Login {
                id: &id,
                ..Login::user("ann", "apple")
            };
            MqttClient::begin(super::tcp(listen), login)
        })
        .collect();
    for client in &mut clients {
        client.send_subscribe("a");
    }
    for client in &mut clients {
        assert_eq!(client.connect_ack().reason, ReasonCode::Success);
        assert_eq!(client.subscribe_ack(), ReasonCode::Success);
    }
    process.stop();
}

#[test]
fn anonymous_clients_come_in_beside_users_where_that_is_said() {
    let listen = free_address();
    let mut process = guarded(listen, "anonymous = \"local\"\n");
    assert_eq!(answer(listen, Login::anonymous("x")), ReasonCode::Success);
    assert_eq!(
        answer(listen, Login::user("ann", "pear")),
        ReasonCode::BadUserNameOrPassword
    );
    process.stop();
}

#[test]
fn a_changed_file_is_noticed_and_who_it_has_no_longer_is_sent_away() {
    let listen = free_address();
    let place = Place::new();
    let file = place.path("users");
    for user in ["ann", "bob", "cid"] {
        set(&file, user, "apple");
    }
    let keys = "passwords = \"users\"\nanonymous = \"local\"\n";
    let mut process = place.start(&settings(listen, keys));
    // On whatever worker, and in both versions.
    let mut all = Vec::new();
    for (user, version) in [
        ("ann", ProtocolVersion::V5),
        ("bob", ProtocolVersion::V5),
        ("bob", ProtocolVersion::V311),
        ("cid", ProtocolVersion::V5),
    ] {
        for number in 0..4 {
            let id = format!("{user}-{version:?}-{number}");
            let login = Login {
                id: &id,
                ..Login::user(user, "apple")
            };
            let client = MqttClient::connect(listen, login.in_version(version));
            all.push((user, version, client));
        }
    }
    let mut nobody = MqttClient::connect(listen, Login::anonymous("nobody"));

    assert!(passwd(&file, &["bob", "--delete"], "").0);
    assert_eq!(process.next("reloaded")["cause"], "file change");
    set(&file, "cid", "another");
    process.next("reloaded");
    for (user, version, client) in &mut all {
        match (*user, *version) {
            ("ann", _) => assert_eq!(client.subscribe("a"), ReasonCode::Success),
            (_, ProtocolVersion::V311) => assert!(client.receive().is_none()),
            _ => assert_eq!(client.sent_away(), ReasonCode::NotAuthorized),
        }
    }
    assert_eq!(nobody.subscribe("a"), ReasonCode::Success);
    let wrong = ReasonCode::BadUserNameOrPassword;
    assert_eq!(answer(listen, Login::user("bob", "apple")), wrong);
    assert_eq!(
        answer(listen, Login::user("cid", "another")),
        ReasonCode::Success
    );
    process.stop();
}

#[test]
fn a_file_that_is_wrong_changes_nothing() {
    let listen = free_address();
    let mut process = guarded(listen, "");
    let mut bob = MqttClient::connect(listen, Login::user("bob", "pear"));
    let users = process.place.path("users");
    set(&users, "ann", "plum");
    process.next("reloaded");
    let wrong = ReasonCode::BadUserNameOrPassword;
    assert_eq!(answer(listen, Login::user("ann", "apple")), wrong);
    let other = Login {
        id: "other",
        ..Login::user("ann", "plum")
    };
    assert_eq!(answer(listen, other), ReasonCode::Success);

    let good = std::fs::read_to_string(&users).unwrap();
    std::fs::write(&users, format!("{good}eve:secret\n")).unwrap();
    let refused = process.next("reload rejected; serving on");
    let error = refused["error"].as_str().unwrap();
    assert!(error.contains("servers.broker.passwords"), "{error}");
    assert!(error.contains("line 3"), "{error}");
    assert_eq!(answer(listen, other), ReasonCode::Success);
    assert_eq!(bob.subscribe("a"), ReasonCode::Success);
    process.stop();
}

#[test]
fn passwd_says_what_it_did_and_what_it_cannot() {
    let place = Place::new();
    let file = place.path("users");
    assert!(passwd(&file, &["ann"], "apple").1.ends_with("ann added\n"));
    assert!(passwd(&file, &["ann"], "pear").1.ends_with("ann changed\n"));
    let before = std::fs::read_to_string(&file).unwrap();
    for (arguments, password) in [
        (&["ann"][..], ""),
        (&["a:b"][..], "x"),
        (&["cid", "--delete"][..], ""),
        (&["ann", "--delete", "--scram"][..], ""),
    ] {
        let (done, said) = passwd(&file, arguments, password);
        assert!(!done, "{said}");
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), before);
    assert!(!before.contains("pear"));
}
