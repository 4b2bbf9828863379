//! `[admin]`: where operators and their tools ask and command the process.

use std::fmt;
use std::path::PathBuf;

use tidegate_runtime::listener::ListenAddr;

use super::references::References;
use super::section::Section;
use super::server::{Listen, read_listen};

/// The admin server. Changes need a restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admin {
    /// Where it listens; at least one.
    pub listen: Vec<Listen>,
    /// What callers over a network must show.
    pub token: Option<Token>,
    /// Whether the process may be asked to hurt itself.
    pub drills: Drills,
}

/// Whether the process can be asked to hurt itself, to show that it survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drills {
    /// Nobody can.
    Refused,
    /// Whoever may command it.
    Allowed,
}

/// Where a token is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token {
    /// Here.
    Here(Secret),
    /// In a file, whose white space at both ends does not count.
    File(PathBuf),
}

/// Something that is neither logged nor shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Shorter tokens can be guessed.
const TOKEN_BYTES_MIN: usize = 16;

impl Admin {
    pub(super) fn read(section: &mut Section<'_>, references: &References) -> Option<Self> {
        section.about("Health, metrics, status and commands; without it there are none.");
        let has_token = section.has("token") || section.has("token_file");
        let expected = "an address such as \"127.0.0.1:9901\" or \"unix:/run/tidegate/admin.sock\"";
        let listen = section.read("listen", expected, |found| {
            let listens = read_listen(found, references)?;
            let open = listens
                .iter()
                .find(|listen| !has_token && is_reachable(&listen.address));
            match open {
                None => Some(listens),
                Some(listen) => found.refuse(
                    format!(
                        "anybody who reaches {} could stop the process: there is no token",
                        listen.address
                    ),
                    "a loopback address, a Unix socket, or a `token` or `token_file` beside it",
                ),
            }
        });
        let listen = listen.about("Where it listens; beyond this machine it needs a token.");
        let listen = listen.required();
        section.at_most_one(&["token", "token_file"], "one of them");
        let expected = "at least 16 visible ASCII characters";
        let token = section.parsed("token", expected, |text| {
            if text.len() < TOKEN_BYTES_MIN || !text.bytes().all(|it| it.is_ascii_graphic()) {
                return Err("the token can be guessed, or cannot be sent".to_owned());
            }
            Ok(Token::Here(Secret::new(text)))
        });
        let token = token.about("What callers show as `Authorization: Bearer TOKEN`.");
        let token = token.optional();
        let file = section.file("token_file");
        let file = file
            .about("The file that holds the token instead.")
            .optional();
        let drills = section.boolean("drills");
        let drills =
            drills.about("Whether `POST /drill?worker=N` may make a worker die, for practice.");
        let drills = drills.or(false);
        Some(Self {
            listen: listen?,
            token: token?.or_else(|| file.clone().flatten().map(Token::File)),
            drills: if drills {
                Drills::Allowed
            } else {
                Drills::Refused
            },
        })
    }
}

/// Whether others than this machine's own users can connect.
fn is_reachable(address: &ListenAddr) -> bool {
    match address {
        ListenAddr::Tcp(address) => !address.ip().is_loopback(),
        ListenAddr::Unix(_) => false,
        // Whoever made it may have made it for everybody.
        ListenAddr::Passed(_) => true,
    }
}
