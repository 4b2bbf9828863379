//! Values that are a text in JSON, or may be: read into bytes of the binary protocol.

use base64::Engine;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use bytes::{BufMut, BytesMut};

use super::super::schema::{Schema, Type};

/// RFC 4648 section 4; read with its padding or without.
pub(super) const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What a value is spelt as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spelt {
    /// As a JSON text in the place of a value.
    Value,
    /// As a bare text, which alone it can be: a member's name, or a part of a URL.
    Name,
}

/// Writes the value that `text` spells; `None` if it spells none of this type.
pub(super) fn put_text(
    schema: &Schema,
    kind: &Type,
    text: &str,
    spelt: Spelt,
    out: &mut BytesMut,
) -> Option<()> {
    let is_name = spelt == Spelt::Name;
    match kind {
        Type::Text => put_bytes(out, text.as_bytes()),
        Type::Bytes => put_bytes(out, &BASE64.decode(text).ok()?),
        Type::Uuid => out.put_slice(&parse_uuid(text)?),
        Type::Enum(at) => {
            let known = schema.enums[*at].values.get(text).copied();
            let number = known.or_else(|| is_name.then(|| integer(text))?);
            out.put_i32(number?);
        }
        // Beyond 2^53 many a client has no other way to say it.
        Type::Int64 => out.put_i64(integer(text)?),
        Type::Double => out.put_f64(match text {
            "NaN" => f64::NAN,
            "Infinity" => f64::INFINITY,
            "-Infinity" => f64::NEG_INFINITY,
            text if is_name => finite(text)?,
            _ => return None,
        }),
        Type::Bool if is_name => out.put_u8(match text {
            "true" => 1,
            "false" => 0,
            _ => return None,
        }),
        Type::Byte if is_name => out.put_i8(integer(text)?),
        Type::Int16 if is_name => out.put_i16(integer(text)?),
        Type::Int32 if is_name => out.put_i32(integer(text)?),
        _ => return None,
    }
    Some(())
}

pub(super) fn put_bytes(out: &mut BytesMut, bytes: &[u8]) {
    out.put_u32(bytes.len() as u32);
    out.put_slice(bytes);
}

/// Digits, and a minus in front; what else Rust takes is no number in JSON.
fn integer<N: std::str::FromStr>(text: &str) -> Option<N> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_plain = !digits.is_empty() && digits.bytes().all(|it| it.is_ascii_digit());
    is_plain.then(|| text.parse().ok())?
}

fn finite(text: &str) -> Option<f64> {
    serde_json::from_str(text).ok()
}

/// The bytes of `8-4-4-4-12` hexadecimal digits (RFC 9562 section 4).
pub(in super::super) fn parse_uuid(text: &str) -> Option<[u8; 16]> {
    let bytes = text.as_bytes();
    let is_hyphen = |at: usize| matches!(at, 8 | 13 | 18 | 23);
    if bytes.len() != 36 {
        return None;
    }
    let mut digits = 0_u128;
    for (at, byte) in bytes.iter().enumerate() {
        if is_hyphen(at) {
            if *byte != b'-' {
                return None;
            }
            continue;
        }
        digits = digits << 4 | u128::from(char::from(*byte).to_digit(16)?);
    }
    Some(digits.to_be_bytes())
}

/// The text of a UUID.
pub(super) fn uuid_text(bytes: [u8; 16]) -> String {
    let digits = format!("{:032x}", u128::from_be_bytes(bytes));
    let parts = [
        &digits[..8],
        &digits[8..12],
        &digits[12..16],
        &digits[16..20],
    ];
    format!("{}-{}", parts.join("-"), &digits[20..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_is_what_it_is_written_as() {
        let text = "00112233-4455-6677-8899-aabbccddeeff";
        let bytes = parse_uuid(text);
        assert_eq!(bytes.map(uuid_text).as_deref(), Some(text));
        assert_eq!(parse_uuid(&text.to_uppercase()), bytes);
        for wrong in [
            "",
            "00112233445566778899aabbccddeeff",
            "00112233-4455-6677-8899-aabbccddeefg",
            "001122334455-6677-8899-aabbccddeeff-",
            "+0112233-4455-6677-8899-aabbccddeeff",
        ] {
            assert_eq!(parse_uuid(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn integers_are_spelt_as_in_json() {
        assert_eq!(integer("-9223372036854775808"), Some(i64::MIN));
        for wrong in ["", "-", "+1", " 1", "1.0", "0x1", "--1"] {
            assert_eq!(integer::<i64>(wrong), None, "{wrong}");
        }
        assert_eq!(integer::<i8>("128"), None);
    }
}
