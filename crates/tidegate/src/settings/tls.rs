//! TLS towards clients (`tls` of a server) and towards upstreams.

use super::found::all;
use super::section::Section;
use std::path::PathBuf;

/// `tls` of a server. The files are known to exist; whether they hold a matching
/// pair shows when the site is staged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// At least one; the first also serves clients that send no server name.
    pub certificates: Vec<Certificate>,
    /// The oldest version that is accepted.
    pub min_version: TlsVersion,
    /// Whether clients may resume with session tickets.
    pub session_tickets: bool,
    /// The PEM file with the authorities of client certificates; none are asked for when
    /// absent.
    pub client_ca: Option<PathBuf>,
    /// Whether a client needs a certificate, where they are asked for one.
    pub client_certificates: ClientCertificates,
}

/// Whether clients need a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientCertificates {
    /// `"required"`: who has none does not come in.
    Required,
    /// `"optional"`: who has none comes in without.
    Optional,
}

/// One certificate chain and its private key, both PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// The chain, leaf first.
    pub chain: PathBuf,
    /// The private key of the leaf.
    pub key: PathBuf,
}

/// A version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    /// `"1.2"`, RFC 5246.
    Tls12,
    /// `"1.3"`, RFC 8446.
    Tls13,
}

impl Tls {
    pub(super) fn read(section: &mut Section<'_>) -> Option<Self> {
        section.about("TLS on every listener; without it the server speaks plain text.");
        let expected = "an array such as [{ chain = \"web.crt\", key = \"web.key\" }]";
        let certificates = section.read("certificates", expected, |found| {
            let items = found.items(expected)?;
            if items.is_empty() {
                return found.refuse("there is no certificate", expected);
            }
            all(items.iter().map(|item| item.section(Certificate::read)))
        });
        let about =
            "Certificates and their keys; the first is for clients that name no server, too.";
        let certificates = certificates.about(about).required();
        let versions = [("1.2", TlsVersion::Tls12), ("1.3", TlsVersion::Tls13)];
        let min_version = section.choice("min_version", &versions);
        let min_version = min_version.about("The oldest version that is accepted.");
        let min_version = min_version.or(TlsVersion::Tls12);
        let session_tickets = section.boolean("session_tickets");
        let session_tickets =
            session_tickets.about("Whether clients may resume with session tickets.");
        let session_tickets = session_tickets.or(true);
        let client_ca = section.file("client_ca");
        let about = "The PEM file with the authorities of clients; without it none is asked.";
        let client_ca = client_ca.about(about).optional();
        let words = [
            ("required", ClientCertificates::Required),
            ("optional", ClientCertificates::Optional),
        ];
        let client_certificates = section.choice("client_certificates", &words);
        let about = "Whether who has none does not come in, or comes in without.";
        let client_certificates = client_certificates.about(about);
        let client_certificates = client_certificates.or(ClientCertificates::Required);
        section.needs(
            "client_certificates",
            "client_ca",
            "the authorities of the certificates",
        );
        Some(Self {
            certificates: certificates?,
            min_version,
            session_tickets,
            client_ca: client_ca?,
            client_certificates,
        })
    }
}

impl Certificate {
    fn read(section: &mut Section<'_>) -> Option<Self> {
        section.about("A certificate and its key, both PEM.");
        let chain = section.file("chain");
        let chain = chain.about("The chain, leaf first.").required();
        let key = section.file("key");
        let key = key.about("The private key of the leaf.").required();
        Some(Self {
            chain: chain?,
            key: key?,
        })
    }
}

/// `tls` of an upstream; `tls = {}` is TLS with every default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamTls {
    /// The name asked for and verified; the endpoint's host when absent.
    pub server_name: Option<String>,
    /// The PEM file with the roots to trust; the system's when absent.
    pub ca: Option<PathBuf>,
    /// Whether the upstream has to prove who it is.
    pub verify: Verify,
}

/// Whether the certificate of an upstream is verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verify {
    /// `verify = true`: chain, name and time.
    Full,
    /// `verify = false`: encrypted, but to whom nobody knows.
    Nothing,
}

impl UpstreamTls {
    pub(super) fn read(section: &mut Section<'_>) -> Option<Self> {
        section.about("TLS to every endpoint; `tls = {}` is TLS with every default.");
        let expected = "a host name such as \"app.internal\"";
        let server_name = section
            .parsed("server_name", expected, super::address::parse_host)
            .about("The name asked for and verified; the endpoint's host without it.")
            .optional();
        let ca = section.file("ca");
        let ca = ca.about("The PEM file with the roots to trust; the system's without it.");
        let ca = ca.optional();
        let verify = section.boolean("verify");
        let verify = verify.about("Whether the upstream has to prove who it is.");
        let verify = match verify.or(true) {
            true => Verify::Full,
            false => Verify::Nothing,
        };
        Some(Self {
            server_name: server_name?,
            ca: ca?,
            verify,
        })
    }
}
