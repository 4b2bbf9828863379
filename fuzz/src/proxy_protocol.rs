//! The PROXY protocol header under arbitrary input. Panics when an invariant breaks: no
//! panic in the codec, a verdict that stands however much of the input has come, and what
//! was accepted is written so that it reads back the same.

use bytes::BytesMut;
use tidegate_runtime::proxy_protocol::{HEADER_BYTES_MAX, Proxied, ProxyVersion, encode, parse};

/// One connection's first bytes.
pub fn header(data: &[u8]) {
    let whole = parse(data);
    for cut in 0..data.len().min(HEADER_BYTES_MAX) {
        let verdict = parse(&data[..cut]);
        assert!(verdict == Ok(None) || verdict == whole, "{cut} bytes");
    }
    let Ok(Some((header, taken))) = whole else {
        assert!(whole != Ok(None) || data.len() < HEADER_BYTES_MAX);
        return;
    };
    assert!(taken <= data.len() && taken <= HEADER_BYTES_MAX);
    for version in [ProxyVersion::V1, ProxyVersion::V2] {
        let mut out = BytesMut::new();
        encode(version, &header.proxied, &mut out);
        let (again, taken) = parse(&out).expect("ours").expect("all of it");
        assert_eq!(taken, out.len());
        let lost = version == ProxyVersion::V1 && header.proxied == Proxied::Unix;
        assert!(again.proxied == header.proxied || lost);
    }
}
