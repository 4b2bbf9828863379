//! The frames of a peer that is another implementation, or none at all.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{self, Cursor, Read, Write};

use proptest::prelude::*;
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};
use tungstenite::protocol::{Role, WebSocket};
use tungstenite::{Error, Message};

use super::*;

/// A client's frame.
fn frame(is_final: bool, opcode: OpCode, payload: &[u8]) -> Vec<u8> {
    let mask = [0x37, 0xfa, 0x21, 0x3d];
    let header = FrameHeader {
        is_final,
        opcode,
        mask: Some(mask),
        ..FrameHeader::default()
    };
    let mut bytes = Vec::new();
    header.format(payload.len() as u64, &mut bytes).unwrap();
    let masked = payload.iter().zip(mask.iter().cycle());
    bytes.extend(masked.map(|(byte, mask)| byte ^ mask));
    bytes
}

fn binary(payload: &[u8]) -> Vec<u8> {
    frame(true, OpCode::Data(Data::Binary), payload)
}

fn control(control: Control, payload: &[u8]) -> Vec<u8> {
    frame(true, OpCode::Control(control), payload)
}

fn incoming(frame_bytes_max: u64) -> Incoming {
    Incoming::new(WebSocketOptions { frame_bytes_max })
}

/// What is left of `bytes` when they are read in pieces of this size.
fn taken(incoming: &mut Incoming, bytes: &[u8], piece: usize) -> Result<Vec<u8>, Violation> {
    let mut payload = Vec::new();
    for chunk in bytes.chunks(piece) {
        let mut chunk = chunk.to_vec();
        let kept = incoming.take_apart(&mut chunk)?;
        payload.extend_from_slice(&chunk[..kept]);
    }
    Ok(payload)
}

#[test]
fn who_breaks_the_protocol_is_closed_with_the_status_for_it() {
    let text = frame(true, OpCode::Data(Data::Text), b"hello");
    let begun = frame(false, OpCode::Data(Data::Binary), b"one");
    let continued = frame(true, OpCode::Data(Data::Continue), b"two");
    let mut unmasked = binary(b"hello");
    unmasked[1] &= 0x7f;
    let mut reserved = binary(b"hello");
    reserved[0] |= 0x40;
    let mut unknown = binary(b"hello");
    unknown[0] = 0x83;
    // 126 says that two bytes of length follow, of which there is no need.
    let long_winded = [&[0x82, 0xfe, 0, 5, 0, 0, 0, 0][..], b"hello"].concat();
    let cases: [(Vec<u8>, u16); 14] = [
        (text, 1003),
        (continued.clone(), 1002),
        ([begun.clone(), binary(b"two")].concat(), 1002),
        (
            [begun, frame(true, OpCode::Data(Data::Text), b"")].concat(),
            1002,
        ),
        (unmasked, 1002),
        (reserved, 1002),
        (unknown, 1002),
        (long_winded, 1002),
        (control(Control::Ping, &[0; 126]), 1002),
        (frame(false, OpCode::Control(Control::Ping), b""), 1002),
        (control(Control::Close, b"\x03"), 1002),
        (control(Control::Close, &1005_u16.to_be_bytes()), 1002),
        (control(Control::Close, b"\x03\xe8\xff"), 1002),
        (binary(&[0; 101]), 1009),
    ];
    for (bytes, status) in cases {
        for piece in [1, bytes.len()] {
            let violation = taken(&mut incoming(100), &bytes, piece).unwrap_err();
            assert_eq!(u16::from(violation.close_code()), status, "{bytes:?}");
        }
    }
    // Its length alone is enough.
    let endless = [&[0x82, 0xff][..], &u64::MAX.to_be_bytes(), &[0; 4]].concat();
    let violation = taken(&mut incoming(100), &endless, 14).unwrap_err();
    assert_eq!(violation, Violation::TooLong(u64::MAX));
}

#[test]
fn nothing_that_follows_a_close_frame_is_read() {
    for (status, expected) in [(&b""[..], None), (b"\x03\xe9bye", Some(CloseCode::Away))] {
        let bytes = [
            binary(b"hello"),
            control(Control::Close, status),
            binary(b"more"),
        ]
        .concat();
        let mut incoming = incoming(100);
        assert_eq!(taken(&mut incoming, &bytes, bytes.len()).unwrap(), b"hello");
        assert_eq!(incoming.take_owed(), Some(Peer::Closes(expected)));
        assert!(incoming.is_closed());
    }
}

#[test]
fn of_many_pings_that_wait_only_the_last_is_answered() {
    let mut outgoing = Outgoing::default();
    for number in 0..1000_u16 {
        outgoing.owe(Peer::Pinged(number.to_be_bytes().to_vec()));
        assert!(outgoing.lead().len() <= 8, "{}", outgoing.lead().len());
    }
    let mut sent = Vec::new();
    while outgoing.has_unsent() {
        // Begins to be sent when there is room.
        sent.extend_from_slice(outgoing.lead());
        outgoing.sent(outgoing.lead().len());
        outgoing.begin(1);
        sent.extend_from_slice(outgoing.lead());
        outgoing.sent(outgoing.lead().len() + 1);
        sent.push(0);
    }
    let mut client = WebSocket::from_raw_socket(ReadOnly(Cursor::new(sent)), Role::Client, None);
    assert_eq!(
        client.read().unwrap(),
        Message::Pong(0_u16.to_be_bytes().to_vec().into())
    );
    assert_eq!(
        client.read().unwrap(),
        Message::Pong(999_u16.to_be_bytes().to_vec().into())
    );
    assert_eq!(client.read().unwrap(), Message::Binary(vec![0].into()));
}

#[test]
fn nothing_is_sent_behind_a_close_frame() {
    let mut outgoing = Outgoing::default();
    assert_eq!(outgoing.begin(5), 5);
    outgoing.sent(outgoing.lead().len() + 2);
    // Within a frame there is no room for it.
    outgoing.close(CloseCode::Normal);
    assert!(outgoing.lead().is_empty());
    assert_eq!(outgoing.begin(10), 3);
    outgoing.sent(3);
    assert_eq!(outgoing.begin(10), 0);
    assert_eq!(outgoing.lead(), [0x88, 2, 0x03, 0xe8]);
}

/// A stream to read from.
struct ReadOnly(Cursor<Vec<u8>>);

impl Read for ReadOnly {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for ReadOnly {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What another implementation reads: all payload, and all pongs.
fn read_by_others(bytes: Vec<u8>) -> (Vec<u8>, Vec<Vec<u8>>) {
    let mut client = WebSocket::from_raw_socket(ReadOnly(Cursor::new(bytes)), Role::Client, None);
    let (mut payload, mut pongs) = (Vec::new(), Vec::new());
    loop {
        match client.read() {
            Ok(Message::Binary(bytes)) => payload.extend_from_slice(&bytes),
            Ok(Message::Pong(bytes)) => pongs.push(bytes.to_vec()),
            Err(Error::Protocol(_) | Error::ConnectionClosed) => return (payload, pongs),
            other => panic!("not ours: {other:?}"),
        }
    }
}

proptest! {
    #[test]
    fn what_is_read_does_not_depend_on_frames_pieces_and_pings(
        payloads in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..300), any::<bool>(), any::<bool>()), 0..8),
        piece in 1..400_usize,
    ) {
        let (mut bytes, mut expected, mut begun) = (Vec::new(), Vec::new(), false);
        let mut last_ping = None;
        for (payload, is_final, pings) in payloads {
            if pings {
                let short = &payload[..payload.len().min(125)];
                bytes.extend(control(Control::Ping, short));
                bytes.extend(control(Control::Pong, short));
                last_ping = Some(Peer::Pinged(short.to_vec()));
            }
            let opcode = if begun { Data::Continue } else { Data::Binary };
            bytes.extend(frame(is_final, OpCode::Data(opcode), &payload));
            begun = !is_final;
            expected.extend(payload);
        }
        let mut incoming = incoming(1000);
        prop_assert_eq!(taken(&mut incoming, &bytes, piece), Ok(expected));
        prop_assert_eq!(incoming.take_owed(), last_ping);
    }

    #[test]
    fn what_is_written_is_read_by_others_however_slowly_it_leaves(
        writes in prop::collection::vec((1..400_usize, 1..500_usize, any::<bool>()), 1..20),
    ) {
        let (mut sent, mut expected, mut pinged) = (Vec::new(), Vec::new(), 0);
        let mut outgoing = Outgoing::default();
        let mut waiting = Vec::new();
        for (number, (length, room, pings)) in writes.into_iter().enumerate() {
            waiting.extend(std::iter::repeat_n(number as u8, length));
            if pings {
                outgoing.owe(Peer::Pinged(vec![number as u8]));
                pinged += 1;
            }
            let allowed = usize::try_from(outgoing.begin(waiting.len() as u64)).unwrap();
            let offered = [outgoing.lead(), &waiting[..allowed]].concat();
            let count = room.min(offered.len());
            sent.extend_from_slice(&offered[..count]);
            let payload = outgoing.sent(count);
            expected.extend(waiting.drain(..payload));
        }
        // The frame that was begun is finished; what is not begun is not missed.
        while !waiting.is_empty() {
            let allowed = usize::try_from(outgoing.begin(waiting.len() as u64)).unwrap();
            sent.extend_from_slice(outgoing.lead());
            sent.extend_from_slice(&waiting[..allowed]);
            outgoing.sent(outgoing.lead().len() + allowed);
            expected.extend(waiting.drain(..allowed));
        }
        let (payload, pongs) = read_by_others(sent);
        prop_assert_eq!(payload, expected);
        prop_assert!(pongs.len() <= pinged);
    }

    #[test]
    fn any_bytes_are_taken_without_a_panic(bytes in any::<Vec<u8>>(), piece in 1..20_usize) {
        let whole = taken(&mut incoming(50), &bytes, bytes.len().max(1));
        prop_assert_eq!(taken(&mut incoming(50), &bytes, piece), whole);
    }
}
