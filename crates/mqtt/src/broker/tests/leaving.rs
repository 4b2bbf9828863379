//! Sending clients away, and authentication that goes back and forth.

use std::rc::Rc;
use std::time::Duration;

use super::super::access::Identity;
use super::super::auth::{Authenticator, Exchange, Step};
use super::super::limits::Limits;
use super::super::{Input, Newcomers, Settings};
use super::driver::*;
use super::packets::{Connect, Packet};
use crate::codec::ReasonCode;

fn shutdown(newcomers: Newcomers) -> Input {
    Input::Shutdown {
        reason: ReasonCode::ServerShuttingDown,
        newcomers,
    }
}

#[test]
fn who_comes_while_another_server_listens_is_let_in_and_then_sent_away_like_the_others() {
    let mut driver = Driver::plain();
    driver.join(0, connect_packet("first"));
    driver.join(1, persistent("late"));
    driver.lose(1);
    driver.input(shutdown(Newcomers::SeenOff));
    assert_eq!(driver.got(0), ["disconnect ServerShuttingDown", "close"]);
    assert!(driver.is_stopped);
    driver.is_stopped = false;
    // Under a number whose turn is over.
    let got = driver.connect(0, persistent("late"));
    assert_eq!(got, ["connack Success present"]);
    assert!(!driver.is_stopped);
    driver.pass(Duration::from_millis(20));
    assert_eq!(driver.got(0), ["disconnect ServerShuttingDown", "close"]);
    assert!(driver.is_stopped);
    // Until nobody listens any more.
    driver.input(shutdown(Newcomers::Refused));
    let got = driver.connect(2, connect_packet("later"));
    assert_eq!(got, ["connack ServerUnavailable", "close"]);
}

#[test]
fn who_authenticates_while_another_server_listens_may_go_on_until_nobody_may() {
    let mut driver = Driver::new(Settings {
        authenticator: Rc::new(Password),
        ..Settings::default()
    });
    let asking = |name| Connect {
        auth_method: Some("word"),
        ..connect_packet(name)
    };
    driver.connect(0, asking("a"));
    driver.connect(1, asking("b"));
    driver.input(shutdown(Newcomers::SeenOff));
    driver.packet(
        0,
        Packet::Auth(ReasonCode::ContinueAuthentication, "word", "sesame"),
    );
    let got = driver.got(0);
    assert!(got[0].starts_with("connack Success"), "{got:?}");
    driver.pass(Duration::from_millis(20));
    assert_eq!(driver.got(0), ["disconnect ServerShuttingDown", "close"]);
    driver.input(shutdown(Newcomers::Refused));
    driver.pass(Duration::from_millis(20));
    assert_eq!(driver.got(1), ["connack ServerUnavailable", "close"]);
    assert!(driver.is_stopped);
}

#[test]
fn a_shutdown_flushes_what_is_queued_and_paces_itself() {
    let limits = Limits {
        shutdown_per_second: 1_000,
        ..Limits::default()
    };
    let mut driver = Driver::new(Settings {
        limits,
        ..Settings::default()
    });
    for client in 0..25 {
        driver.join(client, connect_packet(&format!("c{client}")));
    }
    driver.subscribe(0, &[filter("a", Q0)]);
    driver.unread.push(0);
    driver.publish(1, "a", "last", Q0);
    driver.input(shutdown(Newcomers::Refused));
    assert_eq!(
        driver.broker.connected_count(),
        16,
        "ten in the first step, one of which reads late"
    );
    assert_eq!(
        driver.connect(99, connect_packet("late")),
        ["connack ServerUnavailable", "close"]
    );
    driver.read(0);
    assert_eq!(
        driver.got(0),
        ["a last q0", "disconnect ServerShuttingDown", "close"]
    );
    driver.pass(Duration::from_millis(30));
    assert_eq!(driver.broker.connected_count(), 0);
    assert!(driver.is_stopped);
    assert_eq!(driver.got(24), ["disconnect ServerShuttingDown", "close"]);
}

/// How many of `clients` are left after each of `steps` milliseconds more.
fn left_over_time(limits: Limits, clients: u32, steps: &[u64]) -> Vec<usize> {
    let mut driver = Driver::new(Settings {
        limits,
        ..Settings::default()
    });
    for client in 0..clients {
        driver.join(client, connect_packet(&format!("c{client}")));
    }
    driver.input(shutdown(Newcomers::Refused));
    let left = steps.iter().map(|step| {
        driver.pass(Duration::from_millis(*step));
        driver.broker.connected_count()
    });
    left.collect()
}

#[test]
fn a_slow_pace_is_kept_to_the_client() {
    let limits = Limits {
        shutdown_per_second: 3,
        shutdown_within: Duration::from_secs(60),
        ..Limits::default()
    };
    let left = left_over_time(limits, 7, &[0, 1_000, 1_000, 5_000]);
    assert_eq!(left, [6, 4, 1, 0]);
}

#[test]
fn the_time_for_leaving_counts_more_than_the_pace() {
    let limits = Limits {
        shutdown_per_second: 10,
        shutdown_within: Duration::from_secs(1),
        ..Limits::default()
    };
    let left = left_over_time(limits, 200, &[0, 500, 500]);
    assert_eq!(left, [198, 98, 0]);
}

#[test]
fn a_kicked_client_is_told_why() {
    let mut driver = Driver::plain();
    driver.join(1, connect_packet("a"));
    driver.input(Input::Kick {
        client_id: "a".into(),
        reason: ReasonCode::NotAuthorized,
    });
    assert_eq!(driver.got(1), ["disconnect NotAuthorized", "close"]);
}

/// Asks for a word and lets in who knows it.
#[derive(Debug)]
struct Password;

#[derive(Debug)]
struct Asking(bool);

impl Authenticator for Password {
    fn begin(&self, method: &str, _: &str) -> Option<Box<dyn Exchange>> {
        (method == "word").then(|| Box::new(Asking(false)) as Box<dyn Exchange>)
    }
}

impl Exchange for Asking {
    fn step(&mut self, data: &[u8]) -> Step {
        if !std::mem::replace(&mut self.0, true) {
            return Step::Continue(b"word?".to_vec());
        }
        match data {
            b"sesame" => Step::Done {
                identity: Identity {
                    user: Some("ali".into()),
                    ..Identity::default()
                },
                data: b"welcome".to_vec(),
            },
            _ => Step::Refuse(ReasonCode::NotAuthorized),
        }
    }
}

fn guarded() -> Driver {
    Driver::new(Settings {
        authenticator: Rc::new(Password),
        ..Settings::default()
    })
}

fn with_method(method: &str) -> Connect<'_> {
    Connect {
        auth_method: Some(method),
        ..connect_packet("a")
    }
}

fn auth(reason: ReasonCode, word: &'static str) -> Packet<'static> {
    Packet::Auth(reason, "word", word)
}

#[test]
fn authentication_goes_back_and_forth_before_connack() {
    let mut driver = guarded();
    assert_eq!(
        driver.connect(1, with_method("word")),
        ["auth ContinueAuthentication word word?"]
    );
    driver.packet(1, auth(ReasonCode::ContinueAuthentication, "sesame"));
    assert_eq!(driver.got(1), ["connack Success"]);
    driver.packet(1, auth(ReasonCode::ReAuthenticate, ""));
    assert_eq!(driver.got(1), ["auth ContinueAuthentication word word?"]);
    driver.packet(1, auth(ReasonCode::ContinueAuthentication, "sesame"));
    assert_eq!(driver.got(1), ["auth Success word welcome"]);
    driver.packet(1, auth(ReasonCode::ReAuthenticate, ""));
    driver.packet(1, auth(ReasonCode::ContinueAuthentication, "wrong"));
    let got = driver.got(1);
    assert_eq!(got[1..], ["disconnect NotAuthorized", "close"]);
}

#[test]
fn who_fails_or_stalls_or_speaks_out_of_turn_gets_no_session() {
    let mut driver = guarded();
    assert_eq!(
        driver.connect(1, with_method("other")),
        ["connack BadAuthenticationMethod", "close"]
    );
    driver.connect(2, with_method("word"));
    driver.packet(2, auth(ReasonCode::ContinueAuthentication, "wrong"));
    assert_eq!(driver.got(2), ["connack NotAuthorized", "close"]);
    driver.connect(3, with_method("word"));
    driver.packet(3, Packet::PingReq);
    assert_eq!(driver.got(3), ["connack ProtocolError", "close"]);
    driver.connect(4, with_method("word"));
    driver.pass(Duration::from_secs(10));
    assert_eq!(driver.got(4), ["connack NotAuthorized", "close"]);
    assert_eq!(driver.broker.session_count(), 0);
    driver.join(5, connect_packet("plain"));
    driver.packet(5, auth(ReasonCode::ReAuthenticate, ""));
    assert_eq!(driver.got(5), ["disconnect ProtocolError", "close"]);
}
