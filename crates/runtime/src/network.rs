//! Blocks of IP addresses, as settings name whom to trust.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// A block of addresses, as in `10.0.0.0/8`, `2001:db8::/32` or `127.0.0.1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct IpNetwork {
    address: IpAddr,
    prefix_bits: u8,
}

/// Why a text is no block of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IpNetworkError {
    /// No address before the slash.
    #[error("expected an IP address, optionally with `/` and a prefix length")]
    Address,
    /// No number, or one beyond the address's bits.
    #[error("the prefix length must be a number from 0 to {bits_max}")]
    PrefixLength {
        /// 32 or 128.
        bits_max: u8,
    },
    /// The address is not the first of its block.
    #[error("the address has bits beyond its prefix; did you mean `{network}`?")]
    HostBits {
        /// The block the address is in.
        network: IpNetwork,
    },
}

impl IpNetwork {
    /// Whether `address` is in the block. An IPv4 address mapped into IPv6 is IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        masked(address.to_canonical(), self.prefix_bits) == Some(self.address)
    }
}

impl fmt::Display for IpNetwork {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.address, self.prefix_bits)
    }
}

impl FromStr for IpNetwork {
    type Err = IpNetworkError;

    fn from_str(text: &str) -> Result<Self, IpNetworkError> {
        let (address, prefix_bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| IpNetworkError::Address)?;
        // `::ffff:10.0.0.0/104` would never meet an address: those are compared as IPv4.
        if address != address.to_canonical() {
            return Err(IpNetworkError::Address);
        }
        let bits_max = if address.is_ipv4() { 32 } else { 128 };
        let wrong = IpNetworkError::PrefixLength { bits_max };
        let prefix_bits = match prefix_bits {
            None => bits_max,
            Some(bits) if bits.bytes().all(|byte| byte.is_ascii_digit()) => {
                bits.parse().map_err(|_| wrong)?
            }
            Some(_) => return Err(wrong),
        };
        let first = masked(address, prefix_bits).ok_or(wrong)?;
        let network = Self {
            address: first,
            prefix_bits,
        };
        if first == address {
            Ok(network)
        } else {
            Err(IpNetworkError::HostBits { network })
        }
    }
}

/// `address` with everything beyond `bits` cleared; `None` when it has fewer bits.
fn masked(address: IpAddr, bits: u8) -> Option<IpAddr> {
    match address {
        IpAddr::V4(address) => {
            let beyond = 32_u32.checked_sub(bits.into())?;
            let mask = u32::MAX.checked_shl(beyond).unwrap_or(0);
            Some(Ipv4Addr::from_bits(address.to_bits() & mask).into())
        }
        IpAddr::V6(address) => {
            let beyond = 128_u32.checked_sub(bits.into())?;
            let mask = u128::MAX.checked_shl(beyond).unwrap_or(0);
            Some(Ipv6Addr::from_bits(address.to_bits() & mask).into())
        }
    }
}
