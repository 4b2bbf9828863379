//! What a client says in SCRAM (RFC 5802 section 7).

/// The client's first message.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ClientFirst<'a> {
    /// What it says of channel binding, to its last comma.
    pub(super) header: &'a str,
    /// What is behind it: what both sides sign.
    pub(super) bare: &'a str,
    pub(super) user: Box<str>,
    pub(super) nonce: &'a str,
}

impl<'a> ClientFirst<'a> {
    /// None if it is not one, or asks for what is not offered: channel binding, to act for
    /// another user, or an extension.
    pub(super) fn parse(data: &'a [u8]) -> Option<Self> {
        let text = std::str::from_utf8(data).ok()?;
        let (binding, rest) = text.split_once(',')?;
        let (other, bare) = rest.split_once(',')?;
        // `y`: it could, and believes that we cannot. It is right.
        if !matches!(binding, "n" | "y") {
            return None;
        }
        let mut fields = bare.split(',');
        let user = name(fields.next()?.strip_prefix("n=")?)?;
        let nonce = fields.next()?.strip_prefix("r=")?;
        if nonce.is_empty() || !nonce.bytes().all(|byte| byte.is_ascii_graphic()) {
            return None;
        }
        match other.strip_prefix("a=") {
            None if other.is_empty() => {}
            Some(other) if name(other)? == user => {}
            _ => return None,
        }
        Some(Self {
            header: &text[..text.len() - bare.len()],
            bare,
            user,
            nonce,
        })
    }
}

/// A name, in which a comma and an equals sign are written otherwise.
fn name(text: &str) -> Option<Box<str>> {
    let mut parts = text.split('=');
    let mut name = parts.next()?.to_owned();
    for part in parts {
        let (character, rest) = match (part.strip_prefix("2C"), part.strip_prefix("3D")) {
            (Some(rest), _) => (',', rest),
            (_, Some(rest)) => ('=', rest),
            (None, None) => return None,
        };
        name.push(character);
        name.push_str(rest);
    }
    (!name.is_empty()).then(|| name.into())
}

/// The client's second message.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ClientFinal<'a> {
    /// The first one's header, in base64.
    pub(super) binding: &'a str,
    pub(super) nonce: &'a str,
    pub(super) proof: &'a str,
    /// All that is before the proof: what both sides sign.
    pub(super) without_proof: &'a str,
}

impl<'a> ClientFinal<'a> {
    pub(super) fn parse(data: &'a [u8]) -> Option<Self> {
        let text = std::str::from_utf8(data).ok()?;
        let (without_proof, proof) = text.rsplit_once(",p=")?;
        let mut fields = without_proof.split(',');
        Some(Self {
            binding: fields.next()?.strip_prefix("c=")?,
            nonce: fields.next()?.strip_prefix("r=")?,
            proof,
            without_proof,
        })
    }
}
