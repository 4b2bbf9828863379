//! Reading Thrift IDL files: what they declare, and the [`Schema`] of a service in them.
//!
//! The grammar is `pilota-thrift-parser`'s. It keeps no places, so that those of mistakes
//! in what is well-formed are found in the text again. Who has the files gives their text.

mod constant;
mod locate;
mod resolve;
mod source;

use std::fmt;

use self::resolve::Compiler;
use self::source::{Loaded, Loader};
use super::schema::Schema;

/// The most files one IDL consists of.
pub const IDL_FILES_MAX: usize = 64;

/// The largest file, in bytes.
pub const IDL_FILE_BYTES_MAX: usize = 1 << 20;

/// How deep brackets may lie in each other in a file.
const NESTING_MAX: usize = 64;

/// How many types values and what is in them may have in a service, all together.
const TYPES_MAX: usize = 100_000;

/// The largest default value, in bytes of the binary protocol.
const DEFAULT_BYTES_MAX: usize = 64 << 10;

/// How often a type, a service or a constant may refer to another in a row, and how deep
/// types and constants may lie in each other.
const REFERENCES_MAX: usize = 64;

/// An IDL file and all it includes.
#[derive(Debug)]
pub struct Idl {
    files: Vec<Loaded>,
}

/// A mistake in an IDL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct IdlError {
    /// The file, as it was named.
    pub file: String,
    /// The line, from 1; 0 if the mistake concerns the file as a whole.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
}

impl IdlError {
    fn whole_file(file: &str, message: impl Into<String>) -> Self {
        Self {
            file: file.to_owned(),
            line: 0,
            column: 0,
            message: message.into(),
        }
    }
}

impl fmt::Display for IdlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        write!(f, ": {}", self.message)
    }
}

impl Idl {
    /// Reads the file called `name` and those it includes, with `read`, which is given names
    /// relative to the first file's directory and says why it cannot.
    ///
    /// ```
    /// use tidegate_thrift::codec::Idl;
    ///
    /// let text = "service Clock { i64 now() }";
    /// let idl = Idl::load("clock.thrift", &mut |_| Ok(text.to_owned()))?;
    /// let schema = idl.compile("Clock")?;
    /// assert!(schema.method("now").is_some());
    /// # Ok::<(), tidegate_thrift::codec::IdlError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// A file that cannot be read or parsed, lies elsewhere, or is one too many
    /// ([`IDL_FILES_MAX`]) or too large ([`IDL_FILE_BYTES_MAX`]).
    pub fn load(
        name: &str,
        read: &mut dyn FnMut(&str) -> Result<String, String>,
    ) -> Result<Self, IdlError> {
        let files = Loader::new(read).load(name)?;
        Ok(Self { files })
    }

    /// The names of the services in the first file.
    pub fn services(&self) -> impl Iterator<Item = &str> {
        self.files[0].services()
    }

    /// The schema of the service of this name in the first file.
    ///
    /// # Errors
    ///
    /// There is no such service, or something it refers to is not defined, defined
    /// otherwise, or defined by itself.
    pub fn compile(&self, service: &str) -> Result<Schema, IdlError> {
        Compiler::new(&self.files).compile(service)
    }
}
