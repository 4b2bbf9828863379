//! No memory for what a peer only announces: lengths, counts and depths are judged first.
//!
//! A counting allocator is the judge; an allocator cannot be written without unsafe code, the
//! code judged has none. Counts are per thread, so the test harness does not disturb them.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use bytes::{Bytes, BytesMut};
use proptest::collection::vec;
use proptest::prelude::*;
use tidegate_thrift::codec::{
    ApplicationException, Decoder, Limits, Protocol, Transport, transcode,
};

thread_local! {
    static ALLOCATED_BYTES: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every call goes to `System` unchanged; counting touches only a thread-local that
// needs neither allocation nor destruction. `realloc` and `alloc_zeroed` keep their default
// form, which is built from these two, so that growth counts in full.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATED_BYTES.set(ALLOCATED_BYTES.get() + layout.size());
        // SAFETY: the caller keeps the contract of `GlobalAlloc::alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `GlobalAlloc::dealloc`, and every block
        // came from `System` through `alloc` above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// How many bytes `work` allocates in all, freed again or not.
fn allocated<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = ALLOCATED_BYTES.get();
    let done = work();
    (done, ALLOCATED_BYTES.get() - before)
}

/// What looking at a message may take whatever is in it: its place in the walk, the levels
/// of the deepest nesting that is taken, what it shares its buffer by.
const FIXED_BYTES: usize = 8 * 1024;

const TRANSPORTS: [Option<Transport>; 4] = [
    None,
    Some(Transport::Unframed),
    Some(Transport::Framed),
    Some(Transport::TtHeader),
];

/// What reading `bytes` allocates beside the buffer they are in, as a stream of each kind.
fn reading(bytes: &[u8]) -> usize {
    let read = |transport: Option<Transport>| {
        let limits = Limits::default();
        let mut decoder = transport.map_or_else(
            || Decoder::new(limits),
            |transport| Decoder::with_transport(limits, transport),
        );
        let mut buffer = BytesMut::from(bytes);
        let (_, taken) = allocated(|| {
            let _ = decoder.message_bytes(&buffer);
            while let Ok(Some(message)) = decoder.decode(&mut buffer) {
                drop(message);
            }
        });
        taken
    };
    TRANSPORTS.into_iter().map(read).max().unwrap_or_default()
}

/// What putting `body` into the other protocol allocates, from either.
fn transcoding(body: &Bytes) -> usize {
    let limits = Limits::default();
    [
        (Protocol::Binary, Protocol::Compact),
        (Protocol::Compact, Protocol::Binary),
    ]
    .into_iter()
    .map(|(from, to)| allocated(|| drop(transcode(body, from, to, &limits))).1)
    .max()
    .unwrap_or_default()
}

/// Beginnings behind which something large is announced that does not come.
fn announcements() -> Vec<Vec<u8>> {
    let strict = b"\x80\x01\0\x01\0\0\0\x01a\0\0\0\x01";
    let compact = b"\x82\x21\x01\x01a";
    let head = b"\0\xff\xff\xf0\x10\0\0\0\0\0\0\x01\x3f\xff\0\0\x01\xff\xff\0\x01k\xff\xff";
    let binary = [
        &b"\x0b\0\x01\0\xff\xff\xf0"[..],
        b"\x0f\0\x01\x03\0\xff\xff\xf0",
        b"\x0f\0\x01\x0c\0\xff\xff\xf0",
        b"\x0e\0\x01\x0b\0\x3f\xff\xff",
        b"\x0d\0\x01\x03\x03\0\x7f\xff\xff",
        b"\x0f\0\x01\x0f\0\0\xff\xff\x0f\0\0\xff\xff",
    ];
    let packed = [
        &b"\x18\xf0\xff\xff\x07"[..],
        b"\x19\xf3\xf0\xff\xff\x07",
        b"\x19\xfc\xf0\xff\xff\x07",
        b"\x1b\xf0\xff\xff\x03\x33",
    ];
    let bodies = binary.map(|body| [&strict[..], body].concat());
    let packed = packed.map(|body| [&compact[..], body].concat());
    let framed = bodies.iter().chain(&packed).map(|message| {
        let length = (message.len() as u32 + 0x00ff_0000).to_be_bytes();
        [&length, &message[..]].concat()
    });
    framed
        .chain(bodies.clone())
        .chain(packed.clone())
        .chain([
            head.to_vec(),
            b"\x7f\xff\xff\xff\x80\x01\0\x01".to_vec(),
            b"\x80\x01\0\x01\x7f\xff\xff\xff".to_vec(),
            b"\x82\x21\x01\xff\xff\xff\xff\x07".to_vec(),
        ])
        .collect()
}

#[test]
fn the_allocator_counts() {
    let (kept, taken) = allocated(|| vec![0_u8; 100_000]);
    assert_eq!(kept.len(), 100_000);
    assert!(taken >= 100_000);
}

#[test]
fn what_is_announced_and_does_not_come_takes_no_memory() {
    for bytes in announcements() {
        for end in 0..=bytes.len() {
            let taken = reading(&bytes[..end]);
            assert!(
                taken <= FIXED_BYTES,
                "{taken} bytes for {:02x?}",
                &bytes[..end]
            );
        }
    }
}

#[test]
fn bodies_that_announce_what_they_do_not_have_take_no_memory() {
    for message in announcements() {
        for start in 0..message.len() {
            let body = Bytes::copy_from_slice(&message[start..]);
            let taken = transcoding(&body);
            assert!(taken <= FIXED_BYTES, "{taken} bytes for {body:02x?}");
            for protocol in [Protocol::Binary, Protocol::Compact] {
                let exception =
                    || ApplicationException::decode(&body, protocol, &Limits::default());
                assert!(allocated(exception).1 <= FIXED_BYTES);
            }
        }
    }
}

#[test]
fn nesting_takes_memory_for_as_many_levels_as_are_taken() {
    let strict = b"\x80\x01\0\x01\0\0\0\x01a\0\0\0\x01";
    for level in [&b"\x0c\0\x01"[..], b"\x0f\0\x01\x0c\0\0\0\x01"] {
        for levels in [10, 1000, 100_000] {
            let bytes = [&strict[..], &level.repeat(levels)].concat();
            assert!(reading(&bytes) <= FIXED_BYTES);
        }
    }
    let body = Bytes::from(b"\x0c\0\x01".repeat(100_000));
    // What is written is as large as what is read; and no deeper than that it goes.
    assert!(transcoding(&body) <= body.len() + FIXED_BYTES);
}

/// Bytes of which many begin as messages do.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let likely = &b"\0\x01\x0b\x0c\x0d\x0e\x0f\x10\x18\x19\x1b\x1c\x21\x7f\x80\x82\xf8\xfc\xff"[..];
    let byte = prop_oneof![any::<u8>(), prop::sample::select(likely)];
    let begun = prop::sample::select(announcements());
    (begun, 0_usize..40, vec(byte, 0..200)).prop_map(|(begun, kept, rest)| {
        let kept = &begun[..kept.min(begun.len())];
        [kept, &rest].concat()
    })
}

proptest! {
    #[test]
    fn reading_takes_memory_in_proportion_to_what_has_come(bytes in hostile()) {
        // A message shares the buffer it came in; each costs what it shares that by.
        let most = 16 * bytes.len() + FIXED_BYTES;
        prop_assert!(reading(&bytes) <= most);
    }

    #[test]
    fn transcoding_takes_memory_in_proportion_to_what_has_come(bytes in hostile()) {
        // A number of one byte can become one of eight, and growing copies.
        let most = 32 * bytes.len() + FIXED_BYTES;
        prop_assert!(transcoding(&Bytes::from(bytes)) <= most);
    }
}
