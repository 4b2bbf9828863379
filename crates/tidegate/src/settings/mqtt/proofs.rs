//! How clients of a broker prove who they are.

use std::path::PathBuf;

use tidegate_mqtt::access::certificates::CertificateName;

use super::hook::Hook;
use super::tokens::Tokens;
use crate::settings::section::Section;

/// The proofs that a server takes; each that is set is asked, in this order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proofs {
    /// The name in the client's TLS certificate.
    pub certificate: Option<CertificateName>,
    /// JSON Web Tokens as passwords.
    pub tokens: Option<Tokens>,
    /// A file of users and their passwords.
    pub passwords: Option<PathBuf>,
    /// Somebody else who is asked.
    pub hook: Option<Hook>,
}

impl Proofs {
    pub(super) fn read(section: &mut Section<'_>) -> Option<Self> {
        let words = [
            ("certificate_common_name", CertificateName::CommonName),
            ("certificate_dns_name", CertificateName::DnsName),
            ("certificate_email", CertificateName::Email),
            ("certificate_uri", CertificateName::Uri),
        ];
        let certificate = section.choice("identity", &words);
        let certificate = certificate.about(
            "Which name in its TLS certificate says who a client is; needs `tls.client_ca`.",
        );
        let certificate = certificate.optional();
        let passwords = section.file("passwords");
        let passwords =
            passwords.about("The file of users and passwords that `tidegate mqtt passwd` writes.");
        let passwords = passwords.optional();
        let tokens = section.optional_table("tokens", Tokens::read);
        let hook = section.optional_table("hook", Hook::read);
        Some(Self {
            hook: hook?,
            tokens: tokens?,
            certificate: certificate?,
            passwords: passwords?,
        })
    }

    /// Whether there is a way to prove anything.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The files that the proofs are built from.
    pub fn files(&self) -> impl Iterator<Item = &PathBuf> {
        let keys = self.tokens.iter().flat_map(|tokens| &tokens.keys);
        let authorities = self.hook.iter().filter_map(|hook| hook.ca.as_ref());
        let passwords = self.passwords.iter();
        passwords
            .chain(keys.map(|key| &key.file))
            .chain(authorities)
    }
}
