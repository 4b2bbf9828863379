//! What the fuzz targets do with their input, as plain functions: a stable
//! test of the crate that is fuzzed includes the same files and replays the
//! seeds, so that they are checked where there is no fuzzer.

#![forbid(unsafe_code)]

pub mod http1;
pub mod mqtt;
pub mod record;
pub mod proxy_protocol;
pub mod thrift;
pub mod thrift_json;
