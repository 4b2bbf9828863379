//! MQTT over Unix sockets and TLS, by clients that end up on either worker: a connection
//! is moved to the worker of its session after CONNECT, with its TLS session.

use std::os::unix::net::UnixStream;
use std::path::Path;

use crate::harness::{DEADLINE, Place, free_address};
use crate::mqtt::tcp;
use crate::talk;
use crate::tls::{self, PAIR, write_pair};

fn settings(listen: &str, more: &str) -> String {
    format!(
        "[runtime]\nworkers = 2\npin = false\n[servers.broker]\nprotocol = \"mqtt\"\n\
         listen = {listen}\n{more}\n"
    )
}

fn unix(path: &Path) -> UnixStream {
    let stream = UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.set_write_timeout(Some(DEADLINE)).unwrap();
    stream
}

#[test]
fn clients_on_unix_sockets_and_on_tcp_talk() {
    let (place, listen) = (Place::new(), free_address());
    let path = place.path("broker.sock");
    let listens = format!("[\"unix:{}\", \"{listen}\"]", path.display());
    let mut process = place.start(&settings(&listens, ""));
    let mut plain = false;
    drop(talk::all_hear_each_other(|| {
        plain = !plain;
        match plain {
            true => Box::new(tcp(listen)),
            false => Box::new(unix(&path)),
        }
    }));
    process.stop();
    assert!(!path.exists(), "the socket is left behind");
}

#[test]
fn clients_over_tls_talk_and_stay_while_the_certificate_is_renewed() {
    let (place, listen) = (Place::new(), free_address());
    let chain = write_pair(&place, "web");
    let text = settings(&format!("\"{listen}\""), PAIR);
    let mut process = place.start(&text);
    let stream = |chain: &str| Box::new(tls::over(tcp(listen), chain));
    let mut clients = talk::all_hear_each_other(|| stream(&chain));
    let renewed = write_pair(&process.place, "web");
    process.update(&text);
    let mut sender = clients.pop().unwrap();
    sender.publish("news/today", "renewed");
    for client in &mut clients {
        assert_eq!(client.message(), b"renewed");
    }
    drop((clients, sender));
    drop(talk::all_hear_each_other(|| stream(&renewed)));
    process.stop();
}

#[test]
fn a_tls_client_may_ask_for_mqtt_by_name_and_for_nothing_else() {
    let (place, listen) = (Place::new(), free_address());
    let chain = write_pair(&place, "web");
    let _process = place.start(&settings(&format!("\"{listen}\""), PAIR));
    for (offered, chosen) in [
        (&[&b"mqtt"[..]][..], Some(Some(&b"mqtt"[..]))),
        (&[b"http/1.1"], None),
        (&[], Some(None)),
    ] {
        let session = tls::offering(tcp(listen), &chain, offered);
        let protocol = session.as_ref().ok().map(|it| it.conn.alpn_protocol());
        assert_eq!(protocol, chosen, "{offered:?}");
    }
}
