//! Bytes on the wire, written and read without the broker's own codec: what judges the
//! broker must not share its mistakes.

use crate::property::Properties;

/// Bytes of a packet in the making, malformed ones too.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wire(pub(crate) Vec<u8>);

impl Wire {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn byte(mut self, byte: u8) -> Self {
        self.0.push(byte);
        self
    }

    pub(crate) fn two(mut self, number: u16) -> Self {
        self.0.extend(number.to_be_bytes());
        self
    }

    pub(crate) fn four(mut self, number: u32) -> Self {
        self.0.extend(number.to_be_bytes());
        self
    }

    /// A Variable Byte Integer in as few bytes as it needs.
    pub(crate) fn variable(mut self, mut number: u32) -> Self {
        loop {
            let low = u8::try_from(number % 128).unwrap();
            number /= 128;
            if number == 0 {
                self.0.push(low);
                return self;
            }
            self.0.push(low | 0x80);
        }
    }

    /// Two bytes of length and these bytes, be they UTF-8 or not.
    pub(crate) fn string(self, bytes: impl AsRef<[u8]>) -> Self {
        let bytes = bytes.as_ref();
        self.two(bytes.len().try_into().unwrap()).raw(bytes)
    }

    pub(crate) fn raw(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.0.extend_from_slice(bytes.as_ref());
        self
    }

    pub(crate) fn properties(self, properties: &Properties) -> Self {
        let bytes = properties.bytes();
        self.variable(bytes.len().try_into().unwrap()).raw(bytes)
    }

    /// These bytes behind a fixed header that begins with `first`.
    pub(crate) fn frame(self, first: u8) -> Vec<u8> {
        let length = self.0.len().try_into().unwrap();
        Self::new().byte(first).variable(length).raw(self.0).0
    }
}

/// The bytes of a received packet, read from the front; whatever does not fit fails the
/// test.
#[derive(Debug)]
pub(crate) struct Fields<'a>(pub(crate) &'a [u8]);

impl<'a> Fields<'a> {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self
            .0
            .split_at_checked(count)
            .expect("the packet is shorter than its fields");
        self.0 = rest;
        taken
    }

    pub(crate) fn byte(&mut self) -> u8 {
        self.take(1)[0]
    }

    pub(crate) fn two(&mut self) -> u16 {
        u16::from_be_bytes(self.take(2).try_into().unwrap())
    }

    pub(crate) fn four(&mut self) -> u32 {
        u32::from_be_bytes(self.take(4).try_into().unwrap())
    }

    /// A Variable Byte Integer, which must be as short as it can (MQTT-1.5.5-1).
    pub(crate) fn variable(&mut self) -> u32 {
        let mut number = 0;
        for shift in [0, 7, 14, 21] {
            let byte = self.byte();
            number |= u32::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                assert!(byte > 0 || shift == 0, "a length longer than it need be");
                return number;
            }
        }
        panic!("a length of more than four bytes");
    }

    pub(crate) fn data(&mut self) -> Vec<u8> {
        let count = self.two();
        self.take(count.into()).to_vec()
    }

    pub(crate) fn text(&mut self) -> String {
        let text = String::from_utf8(self.data()).expect("a string that is not UTF-8");
        assert!(!text.contains('\0'), "a string with U+0000");
        text
    }

    pub(crate) fn properties(&mut self) -> Properties {
        let count = self.variable();
        Properties::read(self.take(count as usize))
    }

    pub(crate) fn rest(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.0).to_vec()
    }
}
