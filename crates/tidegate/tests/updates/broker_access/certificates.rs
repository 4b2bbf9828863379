//! Clients that are who their TLS certificate says.

use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ClientConnection, HandshakeKind, RootCertStore, StreamOwned};
use tidegate_mqtt::codec::{QualityOfService, ReasonCode};

use super::{Login, MqttClient, settings, tcp};
use crate::admin::ask;
use crate::harness::{Place, Tidegate, free_address};
use crate::tls::write_pair;

/// An authority, which is nobody's but the test's.
struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate for a client, and its key.
struct Badge {
    chain: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    fn pem(&self) -> String {
        self.0.pem()
    }

    fn badge(&self, name: &str) -> Badge {
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(DnType::CommonName, name.to_owned());
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Badge {
            chain: certificate.der().clone(),
            key: PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap(),
        }
    }
}

/// What a client with this badge says in its handshakes with a server whose certificate is
/// `trusted`; it remembers the tickets that it is given.
fn config(trusted: &str, badge: Option<Badge>) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    let certificate = CertificateDer::from_pem_slice(trusted.as_bytes()).unwrap();
    roots.add(certificate).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    Arc::new(match badge {
        Some(badge) => config
            .with_client_auth_cert(vec![badge.chain], badge.key)
            .unwrap(),
        None => config.with_no_client_auth(),
    })
}

type Secured = StreamOwned<ClientConnection, TcpStream>;

fn open(address: SocketAddr, config: &Arc<ClientConfig>) -> Secured {
    let name = "localhost".try_into().unwrap();
    let session = ClientConnection::new(Arc::clone(config), name).unwrap();
    StreamOwned::new(session, tcp(address))
}

/// TLS with a server whose certificate is `trusted`.
fn secured(address: SocketAddr, trusted: &str, badge: Option<Badge>) -> Secured {
    open(address, &config(trusted, badge))
}

/// A broker that asks for certificates of an authority.
const KEYS: &str = r#"
identity = "certificate_common_name"
[servers.broker.tls]
certificates = [{ chain = "web.crt", key = "web.key" }]
client_ca = "clients.pem"
client_certificates = "required"
[[servers.broker.access]]
user = "*"
subscribe = "of/{user}"
publish = "of/{user}"
"#;

/// A broker that takes certificates of `authority` as `need` says; its own certificate.
fn guarded(listen: SocketAddr, authority: &Authority, need: &str) -> (Tidegate, String) {
    let place = Place::new();
    let own = write_pair(&place, "web");
    std::fs::write(place.path("clients.pem"), authority.pem()).unwrap();
    let rest = KEYS.replace("required", need);
    (place.start(&settings(listen, &rest)), own)
}

#[test]
fn a_client_is_who_its_certificate_says_and_not_who_it_says() {
    let (listen, authority) = (free_address(), Authority::new());
    let (mut process, own) = guarded(listen, &authority, "required");
    // On both workers: the certificate goes with the connection.
    for number in 0..6 {
        let stream = secured(listen, &own, Some(authority.badge("ann")));
        let id = format!("client-{number}");
        let login = Login {
            id: &id,
            ..Login::user("bob", "")
        };
        let mut ann = MqttClient::begin(stream, login);
        assert_eq!(ann.connect_ack().reason, ReasonCode::Success);
        assert_eq!(ann.subscribe("of/ann"), ReasonCode::Success);
        assert_eq!(ann.subscribe("of/bob"), ReasonCode::NotAuthorized);
    }
    process.stop();
}

#[test]
fn a_certificate_of_another_authority_or_none_ends_in_the_handshake() {
    let (listen, authority) = (free_address(), Authority::new());
    let (mut process, own) = guarded(listen, &authority, "required");
    for badge in [None, Some(Authority::new().badge("ann"))] {
        let mut stream = secured(listen, &own, badge);
        let failed = loop {
            match stream.conn.complete_io(&mut stream.sock) {
                Ok((0, _)) => break false,
                // TLS 1.3 hears of it after the handshake.
                Ok(_) => {}
                Err(_) => break true,
            }
        };
        assert!(failed || !stream.conn.wants_read());
    }
    let mut ann = MqttClient::begin(
        secured(listen, &own, Some(authority.badge("ann"))),
        Login::anonymous("x"),
    );
    assert_eq!(ann.connect_ack().reason, ReasonCode::Success);
    process.stop();
}

#[test]
fn who_needs_no_certificate_and_has_none_is_nobody() {
    let (listen, authority) = (free_address(), Authority::new());
    let (mut process, own) = guarded(listen, &authority, "optional");
    let mut nobody = MqttClient::begin(secured(listen, &own, None), Login::anonymous("x"));
    assert_eq!(nobody.connect_ack().reason, ReasonCode::NotAuthorized);
    let stream = secured(listen, &own, Some(authority.badge("ann")));
    let mut ann = MqttClient::begin(stream, Login::anonymous("y"));
    assert_eq!(ann.connect_ack().reason, ReasonCode::Success);
    process.stop();
}

#[test]
fn a_connection_goes_to_the_worker_of_its_client_with_its_tls_and_its_certificate() {
    const CLIENTS: u64 = 24;
    let (listen, admin, authority) = (free_address(), free_address(), Authority::new());
    let place = Place::new();
    let own = write_pair(&place, "web");
    std::fs::write(place.path("clients.pem"), authority.pem()).unwrap();
    let rest = format!("{KEYS}[admin]\nlisten = \"{admin}\"\n");
    let mut process = place.start(&settings(listen, &rest));
    let mut clients: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let badge = authority.badge(&format!("user-{number}"));
            let id = format!("client-{number}");
            let mut client =
                MqttClient::begin(secured(listen, &own, Some(badge)), Login::anonymous(&id));
            assert_eq!(client.connect_ack().reason, ReasonCode::Success);
            client
        })
        .collect();
    // One that was moved has a place on both workers: of so many some were.
    let status = ask(admin, "GET", "/status", "").json();
    let generations = status["sites"]["broker"]["generations"].as_array().unwrap();
    let places: u64 = generations
        .iter()
        .map(|it| it["connections"].as_u64().unwrap())
        .sum();
    assert!((CLIENTS + 1..2 * CLIENTS).contains(&places), "{status}");
    // Each is who it was, and more than one record goes either way.
    let payload = "x".repeat(100_000);
    for (number, client) in clients.iter_mut().enumerate() {
        let topic = format!("of/user-{number}");
        assert_eq!(client.subscribe(&topic), ReasonCode::Success);
        assert_eq!(client.subscribe("of/another"), ReasonCode::NotAuthorized);
        client.publish(&topic, &payload, QualityOfService::AtMostOnce);
        assert_eq!(client.message(), payload);
    }
    process.stop();
}

#[test]
fn nobody_resumes_a_session_without_showing_a_certificate_again() {
    let (listen, authority) = (free_address(), Authority::new());
    let (mut process, own) = guarded(listen, &authority, "required");
    let remembering = config(&own, Some(authority.badge("ann")));
    let come = |config: &Arc<ClientConfig>| {
        let mut stream = open(listen, config);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock).unwrap();
        }
        let kind = stream.conn.handshake_kind().unwrap();
        let mut client = MqttClient::begin(stream, Login::anonymous("x"));
        assert_eq!(client.connect_ack().reason, ReasonCode::Success);
        kind
    };
    for _ in 0..3 {
        assert_eq!(come(&remembering), HandshakeKind::Full);
    }
    // Where nobody is asked for one they do, so that the above means something.
    let text = std::fs::read_to_string(process.place.config()).unwrap();
    let text = text
        .replace("client_ca = \"clients.pem\"\n", "")
        .replace("client_certificates = \"required\"\n", "")
        .replace("identity = \"certificate_common_name\"\n", "");
    process.update(&text[..text.find("[[servers.broker.access]]").unwrap()]);
    let remembering = config(&own, None);
    assert_eq!(come(&remembering), HandshakeKind::Full);
    assert_eq!(come(&remembering), HandshakeKind::Resumed);
    process.stop();
}
