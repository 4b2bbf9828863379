//! Lists of networks, as settings say whose word counts.

use super::found::{all, quoted};
use super::scalars::parsed;
use super::section::{Entry, Section};
use tidegate_runtime::network::IpNetwork;

const EXPECTED: &str = "networks such as [\"127.0.0.0/8\", \"::1\"]";

/// Takes the networks at `key`.
pub(super) fn networks<'s, 'a>(
    section: &'s mut Section<'a>,
    key: &'static str,
) -> Entry<'s, 'a, Vec<IpNetwork>> {
    section.read(key, EXPECTED, |found| {
        let items = found.items(EXPECTED)?;
        all(items
            .iter()
            .map(|item| parsed(item, "a network such as \"10.0.0.0/8\"", parse_network)))
    })
}

fn parse_network(text: &str) -> Result<IpNetwork, String> {
    text.parse()
        .map_err(|error| format!("{} is not a network: {error}", quoted(text)))
}
