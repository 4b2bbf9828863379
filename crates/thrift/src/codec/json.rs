//! Arguments from JSON and results to JSON, by a [`Schema`](super::Schema).
//!
//! Nothing lies in between: JSON is read straight into the bytes of the binary protocol, and
//! the bytes of either protocol are written straight as JSON.
//!
//! | Thrift | JSON |
//! |---|---|
//! | `bool`, `i8` to `i64`, `string` | `true`, a number, a text; an `i64` is taken as a text too |
//! | `double` | a number, or `"NaN"`, `"Infinity"`, `"-Infinity"` |
//! | `binary`, `uuid` | base64 (RFC 4648 section 4), `8-4-4-4-12` hexadecimal digits |
//! | an enumeration | the name, or the number if it has none; both are taken |
//! | a struct, a union, an exception | an object; fields that are absent are left out |
//! | `list`, `set` | an array |
//! | `map` | an object if keys are texts, integers, truth values, enumerations or UUIDs; an array of pairs otherwise |

mod arguments;
mod failure;
mod result;
mod scalars;

pub use self::arguments::{encode_arguments, encode_texts};
pub use self::failure::{ArgumentFault, ArgumentsError, ReplyError, ReplyProblem};
pub use self::result::{JsonOptions, LongIntegers, Replied, decode_reply};
pub(super) use self::scalars::parse_uuid;
