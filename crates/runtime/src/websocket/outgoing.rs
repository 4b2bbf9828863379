//! Frames that go: their heads, and what the peer is owed in between.

use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{CloseCode, Control, Data, OpCode};

use super::Peer;

/// The sending half of a connection.
///
/// A frame is begun with the bytes that a write offers. When the socket takes fewer, the
/// next writes go on with that frame: whoever writes has to go on with the same bytes,
/// and may have more behind them.
#[derive(Debug, Default)]
pub(crate) struct Outgoing {
    /// Goes ahead of payload: control frames, and the head of the frame that was begun.
    lead: Vec<u8>,
    lead_sent: usize,
    /// Payload of the frame that was begun and has not been sent.
    payload_left: u64,
    owed: Option<Peer>,
    closed: bool,
}

impl Outgoing {
    /// Answers the peer's control frame before the next frame.
    pub(crate) fn owe(&mut self, peer: Peer) {
        self.owed = Some(peer);
        self.settle();
    }

    /// Says that nothing more is sent, with this status; once.
    pub(crate) fn close(&mut self, code: CloseCode) {
        self.owe(Peer::Closes(Some(code)));
    }

    /// Whether there is something to be sent that no payload waits for.
    pub(crate) fn has_unsent(&self) -> bool {
        !self.lead().is_empty() || self.owed.is_some() && self.payload_left == 0
    }

    /// Begins a frame of `payload` bytes, unless one is under way; how many bytes of
    /// payload may be sent behind [`Self::lead`]: none once closed.
    pub(crate) fn begin(&mut self, payload: u64) -> u64 {
        self.settle();
        if self.closed {
            return 0;
        }
        if self.payload_left == 0 {
            self.put_head(OpCode::Data(Data::Binary), payload);
            self.payload_left = payload;
        }
        self.payload_left.min(payload)
    }

    /// What has to be sent first.
    pub(crate) fn lead(&self) -> &[u8] {
        &self.lead[self.lead_sent..]
    }

    /// Notes that so many bytes were sent; how many of them were payload.
    pub(crate) fn sent(&mut self, count: usize) -> usize {
        let of_lead = count.min(self.lead().len());
        self.lead_sent += of_lead;
        if self.lead().is_empty() {
            self.lead.clear();
            self.lead_sent = 0;
        }
        let payload = count - of_lead;
        self.payload_left -= payload as u64;
        payload
    }

    /// Puts what the peer is owed between two frames, if that is where we are.
    fn settle(&mut self) {
        if self.payload_left > 0 || self.closed {
            return;
        }
        match self.owed.take() {
            None => {}
            Some(Peer::Pinged(payload)) => {
                // A pong that did not leave yet is not worth a second one behind it.
                if self.lead().is_empty() {
                    self.put_head(OpCode::Control(Control::Pong), payload.len() as u64);
                    self.lead.extend_from_slice(&payload);
                } else {
                    self.owed = Some(Peer::Pinged(payload));
                }
            }
            Some(Peer::Closes(code)) => {
                let code = code.map(|code| u16::from(code).to_be_bytes());
                let payload = code.as_ref().map_or(&[][..], |code| &code[..]);
                self.put_head(OpCode::Control(Control::Close), payload.len() as u64);
                self.lead.extend_from_slice(payload);
                self.closed = true;
            }
        }
    }

    fn put_head(&mut self, opcode: OpCode, payload: u64) {
        let head = FrameHeader {
            opcode,
            ..FrameHeader::default()
        };
        head.format(payload, &mut self.lead)
            .expect("memory takes whatever is written");
    }
}
