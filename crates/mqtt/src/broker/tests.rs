#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bounds;
mod cores;
mod delivery;
mod disorder;
pub(super) mod driver;
mod durability;
mod exactly_once;
mod identities;
mod leaving;
mod model;
pub(super) mod packets;
mod receipts;
mod restarts;
mod retained;
mod sessions;
mod sharing;
mod strays;
mod system;
mod wills;
