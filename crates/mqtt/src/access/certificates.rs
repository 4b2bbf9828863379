//! The client's TLS certificate as the proof of who it is.
//!
//! That the certificate is good has been found in the handshake; here it is only asked
//! for the name of its owner.

use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer as _;

use super::proof::{Credentials, PendingVerdict, Proof, Verdict};
use crate::broker::access::Identity;
use crate::broker::time::Moment;
use crate::codec::ReasonCode;

/// Where in a certificate the user name is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertificateName {
    /// The Common Name of its subject.
    CommonName,
    /// The DNS name among its Subject Alternative Names (RFC 5280 section 4.2.1.6).
    DnsName,
    /// The mail address there.
    Email,
    /// The URI there.
    Uri,
}

/// Who has a certificate is the user that it names, whatever name CONNECT has, for as long
/// as the certificate is valid. One without such a name, or with several, is refused.
#[derive(Debug, Clone, Copy)]
pub struct CertificateProof(CertificateName);

impl CertificateProof {
    /// With the name from this place.
    pub const fn new(name: CertificateName) -> Self {
        Self(name)
    }

    fn verdict(self, credentials: &Credentials) -> Verdict {
        let Some(certificate) = &credentials.certificate else {
            return Verdict::Unknown;
        };
        let owner = self.owner(certificate);
        owner.map_or(Verdict::Refused(ReasonCode::NotAuthorized), |identity| {
            Verdict::Accepted(Identity {
                address: credentials.address,
                ..identity
            })
        })
    }

    fn owner(self, der: &[u8]) -> Option<Identity> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let names = self.names(&certificate)?;
        let [name] = names.as_slice() else {
            return None;
        };
        if name.is_empty() || name.chars().any(char::is_control) {
            return None;
        }
        let expires_secs = certificate.validity().not_after.timestamp();
        let expires_ms = u64::try_from(expires_secs).ok()?.checked_mul(1_000)?;
        Some(Identity {
            user: Some((*name).into()),
            address: None,
            expires_at: Some(Moment::from_millis(expires_ms)),
            mark: None,
        })
    }

    fn names<'a>(self, certificate: &'a X509Certificate<'_>) -> Option<Vec<&'a str>> {
        if self.0 == CertificateName::CommonName {
            let names = certificate.subject().iter_common_name();
            return names.map(|name| name.as_str().ok()).collect();
        }
        let alternatives = certificate.subject_alternative_name().ok()??;
        let names = alternatives.value.general_names.iter();
        Some(
            names
                .filter_map(|name| match (self.0, name) {
                    (CertificateName::DnsName, GeneralName::DNSName(name))
                    | (CertificateName::Email, GeneralName::RFC822Name(name))
                    | (CertificateName::Uri, GeneralName::URI(name)) => Some(*name),
                    _ => None,
                })
                .collect(),
        )
    }
}

impl Proof for CertificateProof {
    fn check<'a>(&'a self, credentials: &'a Credentials) -> PendingVerdict<'a> {
        Box::pin(std::future::ready(self.verdict(credentials)))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use rcgen::{CertificateParams, DnType, KeyPair, SanType};

    use super::*;

    fn certificate(common: &[&str], alternatives: Vec<SanType>) -> Box<[u8]> {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        for name in common {
            params
                .distinguished_name
                .push(DnType::CommonName, (*name).to_owned());
        }
        params.subject_alt_names = alternatives;
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        certificate.der().as_ref().into()
    }

    fn owner(name: CertificateName, certificate: &[u8]) -> Option<String> {
        let credentials = Credentials {
            certificate: Some(certificate.into()),
            ..Credentials::default()
        };
        match CertificateProof::new(name).verdict(&credentials) {
            Verdict::Accepted(identity) => identity.user.map(Into::into),
            Verdict::Refused(ReasonCode::NotAuthorized) => None,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_name_is_taken_from_the_place_that_was_said() {
        let alternatives = vec![
            SanType::DnsName("ann.example".try_into().unwrap()),
            SanType::Rfc822Name("ann@example".try_into().unwrap()),
            SanType::URI("spiffe://example/ann".try_into().unwrap()),
        ];
        let certificate = certificate(&["ann"], alternatives);
        let owner = |name| owner(name, &certificate);
        assert_eq!(owner(CertificateName::CommonName).unwrap(), "ann");
        assert_eq!(owner(CertificateName::DnsName).unwrap(), "ann.example");
        assert_eq!(owner(CertificateName::Email).unwrap(), "ann@example");
        assert_eq!(owner(CertificateName::Uri).unwrap(), "spiffe://example/ann");
    }

    #[test]
    fn a_certificate_without_the_name_or_with_two_is_nobody_s() {
        let dns = |name: &str| SanType::DnsName(name.try_into().unwrap());
        let none = certificate(&["ann"], vec![]);
        assert_eq!(owner(CertificateName::DnsName, &none), None);
        let two = certificate(&["ann"], vec![dns("a"), dns("b")]);
        assert_eq!(owner(CertificateName::DnsName, &two), None);
        assert_eq!(owner(CertificateName::Uri, &two), None);
        let nameless = certificate(&[], vec![dns("a")]);
        assert_eq!(owner(CertificateName::CommonName, &nameless), None);
        let control = certificate(&["ann\u{0}"], vec![]);
        assert_eq!(owner(CertificateName::CommonName, &control), None);
        assert_eq!(owner(CertificateName::CommonName, b"no certificate"), None);
    }

    #[test]
    fn who_shows_no_certificate_may_prove_it_otherwise() {
        let proof = CertificateProof::new(CertificateName::CommonName);
        let nothing = Credentials::default();
        assert_eq!(proof.verdict(&nothing), Verdict::Unknown);
    }
}
