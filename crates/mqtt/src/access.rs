//! Who may come in, and who may publish and subscribe to what: the rules and the proofs
//! that a server can be given, for the seams that the core has for them.

pub mod certificates;
pub mod filter;
pub mod name_pattern;
pub mod passwords;
pub mod proof;
pub mod rules;
pub mod scram;
pub mod tokens;
