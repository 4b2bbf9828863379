//! What keeps a broker's records over restarts.

mod batch;
mod decode;
mod encode;
mod fields;
mod key;

pub use self::batch::Batch;
pub use self::decode::decode;
pub use self::fields::RecordError;

#[cfg(test)]
mod tests;
