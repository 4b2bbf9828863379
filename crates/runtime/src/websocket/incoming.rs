//! Frames that come: taken apart where they lie.

use std::io::Cursor;

use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{CloseCode, Control, Data, OpCode};

use super::{CONTROL_BYTES_MAX, HEAD_BYTES_MAX, Violation, WebSocketOptions};

/// What the peer is owed for a control frame of its.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    /// A pong with this payload. Of many pings only the last is answered, as RFC 6455
    /// section 5.5.3 permits, so that a peer that does not read costs no memory.
    Pinged(Vec<u8>),
    /// A close frame with this status, if there was one; nothing more is read.
    Closes(Option<CloseCode>),
}

/// The receiving half of a connection.
#[derive(Debug)]
pub(crate) struct Incoming {
    options: WebSocketOptions,
    within: Within,
    /// The start of a head whose rest has not come.
    head: [u8; HEAD_BYTES_MAX],
    head_bytes: usize,
    /// Whether a message has begun whose last frame has not come.
    in_message: bool,
    /// The payload of the control frame that is being read.
    control: Vec<u8>,
    owed: Option<Peer>,
    closed: bool,
}

#[derive(Clone, Copy, Debug)]
enum Within {
    Head,
    Payload {
        control: Option<Control>,
        left: u64,
        /// Turned so that its first byte is for the next byte of payload.
        mask: [u8; 4],
    },
}

impl Incoming {
    pub(crate) fn new(options: WebSocketOptions) -> Self {
        Self {
            options,
            within: Within::Head,
            head: [0; HEAD_BYTES_MAX],
            head_bytes: 0,
            in_message: false,
            control: Vec::new(),
            owed: None,
            closed: false,
        }
    }

    /// What the peer is owed, once.
    pub(crate) fn take_owed(&mut self) -> Option<Peer> {
        self.owed.take()
    }

    /// Whether the peer has closed: what it sends after that means nothing.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }

    /// Takes the frames in `bytes` apart, which came behind those of the last call. Their
    /// payload is left at the front of `bytes`; how much there is.
    ///
    /// # Errors
    ///
    /// The peer breaks the protocol. It is not to be asked again.
    pub(crate) fn take_apart(&mut self, bytes: &mut [u8]) -> Result<usize, Violation> {
        let (mut at, mut kept) = (0, 0);
        while !self.closed {
            let Within::Payload {
                control,
                left,
                mut mask,
            } = self.within
            else {
                match self.head_at(&bytes[at..])? {
                    Some(taken) => at += taken,
                    None => break,
                }
                continue;
            };
            let count =
                usize::try_from(left).map_or(bytes.len() - at, |left| left.min(bytes.len() - at));
            let piece = at..at + count;
            unmask(&mut bytes[piece.clone()], mask);
            mask.rotate_left(count % 4);
            at += count;
            let left = left - count as u64;
            match control {
                Some(_) => self.control.extend_from_slice(&bytes[piece]),
                None => {
                    // Nothing is moved where a frame began in an earlier read.
                    if kept < piece.start {
                        bytes.copy_within(piece, kept);
                    }
                    kept += count;
                }
            }
            if left > 0 {
                self.within = Within::Payload {
                    control,
                    left,
                    mask,
                };
                break;
            }
            self.within = Within::Head;
            if let Some(control) = control {
                self.take_control(control)?;
            }
        }
        Ok(kept)
    }

    /// Reads a head from the front of `bytes`; how many of them it took, if it is whole.
    fn head_at(&mut self, bytes: &[u8]) -> Result<Option<usize>, Violation> {
        let before = self.head_bytes;
        let count = bytes.len().min(HEAD_BYTES_MAX - before);
        self.head[before..before + count].copy_from_slice(&bytes[..count]);
        let mut cursor = Cursor::new(&self.head[..before + count]);
        let parsed = FrameHeader::parse(&mut cursor);
        let length = cursor.position();
        match parsed.map_err(|_| Violation::Protocol("unknown opcode"))? {
            None => {
                self.head_bytes += count;
                Ok(None)
            }
            Some((head, payload)) => {
                self.head_bytes = 0;
                if head.len(payload) as u64 != length {
                    return Err(Violation::Protocol("a length that is not minimal"));
                }
                self.begin(&head, payload)?;
                Ok(Some(length as usize - before))
            }
        }
    }

    fn begin(&mut self, head: &FrameHeader, payload: u64) -> Result<(), Violation> {
        if head.rsv1 || head.rsv2 || head.rsv3 {
            return Err(Violation::Protocol("a reserved bit is set"));
        }
        let Some(mask) = head.mask else {
            return Err(Violation::Protocol("a frame that is not masked"));
        };
        let control = match head.opcode {
            OpCode::Control(control) => {
                if !head.is_final || payload > CONTROL_BYTES_MAX {
                    return Err(Violation::Protocol("a control frame too long or in pieces"));
                }
                self.control.clear();
                Some(control)
            }
            OpCode::Data(data) => {
                match (data, self.in_message) {
                    (Data::Binary, false) | (Data::Continue, true) => {}
                    (Data::Text, false) => return Err(Violation::Text),
                    (Data::Continue, false) => {
                        return Err(Violation::Protocol("a continuation of nothing"));
                    }
                    _ => return Err(Violation::Protocol("a message within a message")),
                }
                if payload > self.options.frame_bytes_max {
                    return Err(Violation::TooLong(payload));
                }
                self.in_message = !head.is_final;
                None
            }
        };
        self.within = Within::Payload {
            control,
            left: payload,
            mask,
        };
        Ok(())
    }

    fn take_control(&mut self, control: Control) -> Result<(), Violation> {
        let payload = std::mem::take(&mut self.control);
        match control {
            Control::Ping => self.owed = Some(Peer::Pinged(payload)),
            Control::Close => {
                self.owed = Some(Peer::Closes(close_code(&payload)?));
                self.closed = true;
            }
            // Nobody asked for it, and it may come all the same (RFC 6455 section 5.5.3).
            Control::Pong | Control::Reserved(_) => {}
        }
        Ok(())
    }
}

/// The status of a close frame (RFC 6455 section 5.5.1).
fn close_code(payload: &[u8]) -> Result<Option<CloseCode>, Violation> {
    let Some((&code, reason)) = payload.split_first_chunk() else {
        return match payload {
            [] => Ok(None),
            _ => Err(Violation::Protocol("half a status")),
        };
    };
    let code = CloseCode::from(u16::from_be_bytes(code));
    if !code.is_allowed() || std::str::from_utf8(reason).is_err() {
        return Err(Violation::Protocol("no status that may be sent"));
    }
    Ok(Some(code))
}

/// Takes the mask off (RFC 6455 section 5.3), eight bytes at a time.
fn unmask(bytes: &mut [u8], mask: [u8; 4]) {
    let [a, b, c, d] = mask;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let mut chunks = bytes.chunks_exact_mut(8);
    for chunk in &mut chunks {
        let number = u64::from_ne_bytes(chunk.try_into().expect("chunks of eight"));
        chunk.copy_from_slice(&(number ^ wide).to_ne_bytes());
    }
    let rest = chunks.into_remainder().iter_mut();
    rest.zip(mask.iter().cycle())
        .for_each(|(byte, mask)| *byte ^= mask);
}
