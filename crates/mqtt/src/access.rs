//! Who may come in, and who may publish and subscribe to what: the rules and the proofs
//! that a server can be given, for the seams that the core has for them.

pub mod filter;
pub mod name_pattern;
pub mod rules;
