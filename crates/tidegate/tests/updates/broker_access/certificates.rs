//! Clients that are who their TLS certificate says.

use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use tidegate_mqtt::codec::ReasonCode;

use super::{Login, MqttClient, settings, tcp};
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

/// TLS with a server whose certificate is `trusted`, after the handshake.
fn secured(
    address: SocketAddr,
    trusted: &str,
    badge: Option<Badge>,
) -> StreamOwned<ClientConnection, TcpStream> {
    let mut roots = RootCertStore::empty();
    let certificate = CertificateDer::from_pem_slice(trusted.as_bytes()).unwrap();
    roots.add(certificate).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let config = match badge {
        Some(badge) => config
            .with_client_auth_cert(vec![badge.chain], badge.key)
            .unwrap(),
        None => config.with_no_client_auth(),
    };
    let name = "localhost".try_into().unwrap();
    let session = ClientConnection::new(Arc::new(config), name).unwrap();
    StreamOwned::new(session, tcp(address))
}

/// A broker that takes certificates of `authority` as `need` says; its own certificate.
fn guarded(listen: SocketAddr, authority: &Authority, need: &str) -> (Tidegate, String) {
    let place = Place::new();
    let own = write_pair(&place, "web");
    std::fs::write(place.path("clients.pem"), authority.pem()).unwrap();
    let rest = format!(
        "identity = \"certificate_common_name\"\n\
         [servers.broker.tls]\n\
         certificates = [{{ chain = \"web.crt\", key = \"web.key\" }}]\n\
         client_ca = \"clients.pem\"\n\
         client_certificates = \"{need}\"\n\
         [[servers.broker.access]]\n\
         user = \"*\"\n\
         subscribe = \"of/{{user}}\"\n"
    );
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
