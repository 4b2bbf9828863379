//! The one spelling of a path that routes are matched against.
//!
//! A route that guards `/admin` is worth nothing if the upstream understands another
//! spelling of it. So, before matching (RFC 3986 section 6.2.2):
//!
//! - a path with a `.` or `..` segment is refused: clients resolve those themselves,
//!   and what remains is an attack or a mistake. Encoded dots (`%2e`), encoded slashes
//!   and backslashes around them, and `..;x` (which some servers cut) count too;
//! - a broken escape and `%00` are refused, as nginx does;
//! - escapes of unreserved characters are decoded, hex digits put in upper case, runs
//!   of `/` matched as one (nginx's `merge_slashes`), a raw backslash escaped.
//!
//! `%2F` stays itself: it is data, as in Envoy's default; an upstream that takes it for
//! a separator must guard its own paths. A path not rewritten is forwarded as it came.

use std::borrow::Cow;

/// Why a path is refused: the gateway answers 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathFault {
    /// A `.` or `..` segment in any spelling.
    #[error("the path has a `.` or `..` segment")]
    DotSegment,
    /// A `%` without two hexadecimal digits.
    #[error("the path has a `%` that starts no escape")]
    BrokenEscape,
    /// An escaped NUL.
    #[error("the path has an escaped NUL")]
    Nul,
}

/// Whether peers may disagree on what `path` means; see [`canonical`].
pub fn is_ambiguous(path: &str) -> bool {
    canonical(path).is_err()
}

/// `path` (without its query) in its canonical spelling, borrowed unless it differs.
///
/// # Errors
///
/// The reason to refuse it.
///
/// ```
/// use tidegate_gateway::route::path::{PathFault, canonical};
///
/// assert_eq!(canonical("/%61pi//x%2fy").as_deref(), Ok("/api/x%2Fy"));
/// assert_eq!(canonical("/a/%2e%2e/b"), Err(PathFault::DotSegment));
/// ```
pub fn canonical(path: &str) -> Result<Cow<'_, str>, PathFault> {
    let mut previous = 0;
    for &byte in path.as_bytes() {
        let suspicious = match byte {
            b'%' | b'\\' => true,
            b'/' | b'.' => previous == b'/',
            _ => false,
        };
        if suspicious {
            return inspect(path);
        }
        previous = byte;
    }
    Ok(Cow::Borrowed(path))
}

/// A character of a path, with the escape it came in undone.
#[derive(Clone, Copy)]
struct Piece {
    byte: u8,
    start: usize,
    end: usize,
    spelling: Spelling,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Spelling {
    Raw,
    Escaped,
    EscapedInLowerCase,
}

fn inspect(path: &str) -> Result<Cow<'_, str>, PathFault> {
    let mut segment = Segment::Dots(0);
    let mut differs = false;
    let mut after_slash = false;
    let mut at = 0;
    while let Some(piece) = piece(path.as_bytes(), at)? {
        if piece.byte == 0 && piece.spelling != Spelling::Raw {
            return Err(PathFault::Nul);
        }
        segment = segment.then(piece.byte)?;
        differs |= replacement(piece, after_slash).is_some();
        after_slash = piece.byte == b'/' && piece.spelling == Spelling::Raw;
        at = piece.end;
    }
    segment.end()?;
    Ok(if differs {
        Cow::Owned(respell(path)?)
    } else {
        Cow::Borrowed(path)
    })
}

/// The segment read so far, for telling `.` and `..` from the rest.
#[derive(Clone, Copy)]
enum Segment {
    Dots(usize),
    Other,
}

impl Segment {
    fn then(self, byte: u8) -> Result<Self, PathFault> {
        match (byte, self) {
            (b'/' | b'\\', _) => self.end().map(|()| Self::Dots(0)),
            (b';', _) => self.end().map(|()| Self::Other),
            (b'.', Self::Dots(count)) => Ok(Self::Dots(count + 1)),
            _ => Ok(Self::Other),
        }
    }

    fn end(self) -> Result<(), PathFault> {
        match self {
            Self::Dots(1 | 2) => Err(PathFault::DotSegment),
            _ => Ok(()),
        }
    }
}

fn piece(path: &[u8], start: usize) -> Result<Option<Piece>, PathFault> {
    let Some(&byte) = path.get(start) else {
        return Ok(None);
    };
    if byte != b'%' {
        return Ok(Some(Piece {
            byte,
            start,
            end: start + 1,
            spelling: Spelling::Raw,
        }));
    }
    let digits = path.get(start + 1..start + 3);
    let digits = digits.ok_or(PathFault::BrokenEscape)?;
    let value = |digit: u8| char::from(digit).to_digit(16);
    let (Some(high), Some(low)) = (value(digits[0]), value(digits[1])) else {
        return Err(PathFault::BrokenEscape);
    };
    let lower = digits.iter().any(u8::is_ascii_lowercase);
    Ok(Some(Piece {
        byte: u8::try_from(high * 16 + low).expect("two hexadecimal digits fit a byte"),
        start,
        end: start + 3,
        spelling: if lower {
            Spelling::EscapedInLowerCase
        } else {
            Spelling::Escaped
        },
    }))
}

/// How a piece is spelt canonically.
enum Replacement {
    Nothing,
    Plain,
    Escape,
}

/// What must replace `piece`, `None` when it is canonical already.
fn replacement(piece: Piece, after_slash: bool) -> Option<Replacement> {
    let unreserved =
        piece.byte.is_ascii_alphanumeric() || matches!(piece.byte, b'-' | b'.' | b'_' | b'~');
    match piece.spelling {
        Spelling::Raw => match piece.byte {
            b'/' if after_slash => Some(Replacement::Nothing),
            b'\\' => Some(Replacement::Escape),
            _ => None,
        },
        _ if unreserved => Some(Replacement::Plain),
        Spelling::EscapedInLowerCase => Some(Replacement::Escape),
        Spelling::Escaped => None,
    }
}

fn respell(path: &str) -> Result<String, PathFault> {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let mut spelt = String::with_capacity(path.len() + 2);
    let mut copied = 0;
    let mut after_slash = false;
    let mut at = 0;
    while let Some(piece) = piece(path.as_bytes(), at)? {
        if let Some(replacement) = replacement(piece, after_slash) {
            // Replaced pieces are ASCII, so both ends are character boundaries.
            spelt.push_str(&path[copied..piece.start]);
            copied = piece.end;
            match replacement {
                Replacement::Nothing => {}
                Replacement::Plain => spelt.push(char::from(piece.byte)),
                Replacement::Escape => {
                    spelt.push('%');
                    spelt.push(char::from(DIGITS[usize::from(piece.byte >> 4)]));
                    spelt.push(char::from(DIGITS[usize::from(piece.byte & 15)]));
                }
            }
        }
        after_slash = piece.byte == b'/' && piece.spelling == Spelling::Raw;
        at = piece.end;
    }
    spelt.push_str(&path[copied..]);
    Ok(spelt)
}
