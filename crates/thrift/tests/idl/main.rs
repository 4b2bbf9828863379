//! Calls in JSON by an IDL: its files, arguments, replies, and all of it at random.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod arguments;
mod files;
mod properties;
mod replies;

use tidegate_thrift::codec::{Idl, Schema};

/// The schema of the service `S` in `text`.
fn schema(text: &str) -> Schema {
    let idl = Idl::load("test.thrift", &mut |_| Ok(text.to_owned())).unwrap();
    idl.compile("S").unwrap()
}
