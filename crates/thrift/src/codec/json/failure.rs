//! Why JSON was not taken, or could not be made, and where.

use std::fmt;

use super::super::error::DecodeError;

/// Where a value is, built from the inside out while an error is on its way up: what goes
/// well pays nothing for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Trail(Vec<Step>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Member(Box<str>),
    Index(usize),
}

/// The longest name of a member that a path repeats, in characters.
const MEMBER_CHARS_MAX: usize = 64;

impl Trail {
    pub(super) fn member(&mut self, name: &str) {
        let name = match name.char_indices().nth(MEMBER_CHARS_MAX) {
            Some((end, _)) => format!("{}...", &name[..end]).into(),
            None => name.into(),
        };
        self.0.push(Step::Member(name));
    }

    pub(super) fn index(&mut self, index: usize) {
        self.0.push(Step::Index(index));
    }
}

impl fmt::Display for Trail {
    /// As JSONPath has it (RFC 9535): `$.users[3]["a b"]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_plain = |name: &str| {
            let mut letters = name.chars();
            let first = |it: char| it.is_ascii_alphabetic() || it == '_';
            letters.next().is_some_and(first) && letters.all(|it| first(it) || it.is_ascii_digit())
        };
        f.write_str("$")?;
        for step in self.0.iter().rev() {
            match step {
                Step::Member(name) if is_plain(name) => write!(f, ".{name}")?,
                Step::Member(name) => write!(f, "[{name:?}]")?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// Arguments that were not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {message}")]
pub struct ArgumentsError {
    /// In what way they are wrong.
    pub fault: ArgumentFault,
    /// Where, as JSONPath: `$.user.age`.
    pub path: String,
    /// For whoever sent them: `expected i32, found string`.
    pub message: String,
}

/// In what way arguments are wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArgumentFault {
    /// They are no JSON.
    Syntax,
    /// They are not what the method takes.
    Value,
    /// They would make a larger message than is sent.
    TooLarge,
}

/// A reply that no JSON can be made of: not the client's fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {problem}")]
pub struct ReplyError {
    /// Where, as JSONPath; `$` is the struct of the result.
    pub path: String,
    /// What is wrong.
    pub problem: ReplyProblem,
}

/// What is wrong with a reply.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReplyProblem {
    /// Its bytes.
    #[error(transparent)]
    Bytes(#[from] DecodeError),
    /// A value of another type than the IDL says.
    #[error("expected {expected}, found {found}")]
    Type {
        /// What the IDL says.
        expected: String,
        /// What the reply says.
        found: String,
    },
    /// A required field is not there.
    #[error("the required field `{0}` is missing")]
    Missing(Box<str>),
    /// A union has none or several of its fields.
    #[error("a union of {0} fields")]
    Union(usize),
    /// A text that is not UTF-8.
    #[error("a text that is not UTF-8")]
    Text,
    /// Neither a result nor an exception, where there has to be one.
    #[error("there is no result")]
    NoResult,
    /// The JSON becomes larger than is allowed.
    #[error("more than {limit} bytes of JSON")]
    TooLarge {
        /// The most that is made.
        limit: usize,
    },
}
