//! What a TLS client asks for, seen without ending the TLS: for whoever chooses by name
//! where the connection goes on.

use std::fmt;

use rustls::server::Acceptor;
use thiserror::Error;

/// The most bytes a ClientHello may take. Those in use take below 2 KiB; a record may
/// carry 16 KiB (RFC 8446 section 5.1).
pub const CLIENT_HELLO_BYTES_MAX: usize = 16 * 1024;

/// What a ClientHello says (RFC 8446 section 4.1.2).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientHello {
    /// The host name asked for (RFC 6066 section 3), in lower case.
    pub server_name: Option<Box<str>>,
}

/// Why bytes are no ClientHello.
#[derive(Debug, Error)]
pub enum ClientHelloError {
    /// It is longer than [`CLIENT_HELLO_BYTES_MAX`].
    #[error("a ClientHello of more than {CLIENT_HELLO_BYTES_MAX} bytes")]
    TooLong,
    /// They are not TLS, or rustls would refuse them.
    #[error("no usable ClientHello: {0}")]
    Refused(rustls::Error),
}

/// Reads a ClientHello off copies of a connection's first bytes, which stay with the caller.
///
/// Does no I/O and answers nothing: the handshake is left to whoever gets the connection.
#[derive(Default)]
pub struct ClientHelloPeek {
    acceptor: Acceptor,
    bytes_seen: usize,
}

impl fmt::Debug for ClientHelloPeek {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientHelloPeek")
            .field("bytes_seen", &self.bytes_seen)
            .finish_non_exhaustive()
    }
}

impl ClientHelloPeek {
    /// Takes the bytes that came since the last call. Gives what they say once that is
    /// known, and nothing while more have to come.
    ///
    /// # Errors
    ///
    /// The bytes never become a ClientHello. The peek is of no more use.
    pub fn input(&mut self, bytes: &[u8]) -> Result<Option<ClientHello>, ClientHelloError> {
        self.bytes_seen = self.bytes_seen.saturating_add(bytes.len());
        let mut left = bytes;
        while !left.is_empty() {
            // Reads from memory, which cannot fail; it may take less than there is.
            match self.acceptor.read_tls(&mut left) {
                Ok(count) if count > 0 => {}
                _ => return Err(ClientHelloError::TooLong),
            }
            let accepted = self.acceptor.accept();
            if let Some(accepted) =
                accepted.map_err(|(error, _)| ClientHelloError::Refused(error))?
            {
                let name = accepted.client_hello().server_name().map(Into::into);
                return Ok(Some(ClientHello { server_name: name }));
            }
        }
        if self.bytes_seen >= CLIENT_HELLO_BYTES_MAX {
            return Err(ClientHelloError::TooLong);
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::sync::Arc;

    use rustls::{ClientConfig, ClientConnection, RootCertStore};

    use super::*;

    fn hello(name: &'static str) -> Vec<u8> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth();
        let mut client = ClientConnection::new(Arc::new(config), name.try_into().unwrap()).unwrap();
        let mut bytes = Vec::new();
        client.write_tls(&mut bytes).unwrap();
        bytes
    }

    fn name_of(hello: Option<ClientHello>) -> Option<String> {
        hello.unwrap().server_name.map(String::from)
    }

    #[test]
    fn the_name_is_found_however_the_bytes_are_cut() {
        let bytes = hello("Mail.Example.com");
        for size in [1, 7, 100, bytes.len()] {
            let mut peek = ClientHelloPeek::default();
            let mut found = None;
            for piece in bytes.chunks(size) {
                assert!(found.is_none(), "known before the last byte");
                found = peek.input(piece).unwrap();
            }
            assert_eq!(name_of(found).as_deref(), Some("mail.example.com"));
        }
    }

    #[test]
    fn a_client_that_asks_for_an_address_names_nothing() {
        let found = ClientHelloPeek::default().input(&hello("127.0.0.1"));
        assert_eq!(name_of(found.unwrap()), None);
    }

    #[test]
    fn what_is_no_hello_is_refused_and_one_without_end_is_not_kept() {
        let refused = ClientHelloPeek::default().input(b"GET / HTTP/1.1\r\n\r\n");
        assert!(matches!(refused, Err(ClientHelloError::Refused(_))));
        // A hello that says it is 16 MiB long, in records that never end.
        let mut record = vec![22, 3, 1, 0x3f, 0xff, 1, 0xff, 0xff, 0xff];
        record.resize(5 + 0x3fff, 0);
        let mut peek = ClientHelloPeek::default();
        assert!(
            peek.input(&record)
                .and_then(|_| peek.input(&record))
                .is_err()
        );
    }
}
