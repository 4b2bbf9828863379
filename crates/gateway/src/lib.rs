//! The HTTP gateway's parts: which route a request takes, which endpoint serves it,
//! what happens to its headers on the way, and the line it leaves in the access log.
#![forbid(unsafe_code)]

pub mod access_log;
pub mod balance;
pub mod detect;
pub mod ejection;
pub mod forward;
pub mod health;
pub mod logged;
pub mod meter;
pub mod resolve;
pub mod route;
pub mod site;
pub mod tcp;
pub mod thrift;
pub mod upstream;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
