//! Finds and cuts off what is damaged at the end of the store's journals.
//!
//! fjall ends a journal at the last whole batch where writing stopped in the middle of one,
//! but does not open one whose bytes are wrong. A broker has to start all the same, so the
//! journals are read over before: their batches, as fjall 3 writes them, are a start with
//! the number of items, the items, and an end with a checksum over them.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use xxhash_rust::xxh3::Xxh3;

const START: u8 = 1;
const ITEM: u8 = 2;
const END: u8 = 3;
const CLEAR: u8 = 4;

/// What an end closes with.
const MAGIC: [u8; 4] = *b"FJL\x03";

const READ_BYTES: usize = 256 * 1024;

/// How a journal ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tail {
    /// With a whole batch.
    Whole,
    /// In the middle of a batch: writing was interrupted, and nobody was told that it was
    /// done.
    Unfinished,
    /// In bytes that are none of a batch.
    Damaged {
        /// Where the last whole batch ends.
        from: u64,
        /// How many bytes follow, without the zeros at the end.
        bytes: u64,
    },
}

/// Reads a journal over.
///
/// # Errors
///
/// When the file cannot be read.
pub(super) fn inspect(journal: &Path) -> io::Result<Tail> {
    let mut reader = Reader {
        file: BufReader::with_capacity(READ_BYTES, File::open(journal)?),
        at: 0,
        item: Vec::new(),
    };
    let mut whole = 0;
    let stop = loop {
        match reader.batch()? {
            Ok(()) => whole = reader.at,
            Err(stop) => break stop,
        }
    };
    let read = reader.at;
    Ok(match (last_set_byte(journal, whole)?, stop) {
        (None, _) => Tail::Whole,
        (Some(last), Stop::Short) if last < read => Tail::Unfinished,
        (Some(last), _) => Tail::Damaged {
            from: whole,
            bytes: last + 1 - whole,
        },
    })
}

/// Copies a journal's damaged end to `to`, then cuts it off.
///
/// # Errors
///
/// When a file cannot be written; the journal is then as it was.
pub(super) fn cut(journal: &Path, from: u64, bytes: u64, to: &Path) -> io::Result<()> {
    let mut source = OpenOptions::new().read(true).write(true).open(journal)?;
    source.seek(SeekFrom::Start(from))?;
    let mut copy = File::create(to)?;
    io::copy(&mut (&mut source).take(bytes), &mut copy)?;
    copy.sync_all()?;
    source.set_len(from)?;
    source.sync_all()
}

/// Why there is no further batch.
enum Stop {
    /// The bytes end, or go on as the zeros that a journal is filled up with.
    Short,
    Wrong,
}

struct Reader {
    file: BufReader<File>,
    at: u64,
    /// The item that is read.
    item: Vec<u8>,
}

impl Reader {
    /// Reads one batch.
    fn batch(&mut self) -> io::Result<Result<(), Stop>> {
        let mut sum = Xxh3::new();
        let mut items = match self.tag()? {
            Some(START) => match self.array::<12>()? {
                Some([a, b, c, d, ..]) => u32::from_le_bytes([a, b, c, d]),
                None => return Ok(Err(Stop::Short)),
            },
            Some(0) | None => return Ok(Err(Stop::Short)),
            Some(_) => return Ok(Err(Stop::Wrong)),
        };
        loop {
            let tag = match self.tag()? {
                Some(0) | None => return Ok(Err(Stop::Short)),
                Some(tag) => tag,
            };
            self.item.clear();
            self.item.push(tag);
            let is_read = match tag {
                ITEM if items > 0 => self.item()?,
                CLEAR if items > 0 => self.extend(8)?,
                END if items == 0 => {
                    let end = self.array::<12>()?;
                    return Ok(end.ok_or(Stop::Short).and_then(|end| closes(end, &sum)));
                }
                _ => return Ok(Err(Stop::Wrong)),
            };
            if !is_read {
                return Ok(Err(Stop::Short));
            }
            sum.update(&self.item);
            items -= 1;
        }
    }

    /// Reads what follows an item's tag: value type, compression, keyspace, the lengths of
    /// key and value, the value's once more, and both.
    fn item(&mut self) -> io::Result<bool> {
        const HEAD_BYTES: usize = 1 + 1 + 8 + 2 + 4 + 4;
        if !self.extend(HEAD_BYTES)? {
            return Ok(false);
        }
        let at = |index: usize| self.item[index];
        let key = u16::from_le_bytes([at(11), at(12)]);
        let value = u32::from_le_bytes([at(17), at(18), at(19), at(20)]);
        self.extend(usize::from(key) + value as usize)
    }

    fn tag(&mut self) -> io::Result<Option<u8>> {
        self.array::<1>().map(|tag| tag.map(|[tag]| tag))
    }

    fn array<const N: usize>(&mut self) -> io::Result<Option<[u8; N]>> {
        self.item.clear();
        let is_read = self.extend(N)?;
        Ok(self.item.first_chunk().copied().filter(|_| is_read))
    }

    /// Reads so many bytes behind those that are there; false at the end of the file.
    fn extend(&mut self, bytes: usize) -> io::Result<bool> {
        let read = (&mut self.file)
            .take(bytes as u64)
            .read_to_end(&mut self.item)?;
        self.at += read as u64;
        Ok(read == bytes)
    }
}

/// Whether an end closes the items that `sum` is of.
fn closes(end: [u8; 12], sum: &Xxh3) -> Result<(), Stop> {
    let (digest, magic) = end.split_at(8);
    match digest == sum.digest().to_le_bytes() && magic == MAGIC {
        true => Ok(()),
        // Where the last bytes are missing they are the zeros that were there before.
        false if magic != MAGIC && end.ends_with(&[0]) => Err(Stop::Short),
        false => Err(Stop::Wrong),
    }
}

/// Where the last byte is, from `from` on, that is not zero.
fn last_set_byte(journal: &Path, from: u64) -> io::Result<Option<u64>> {
    let mut file = File::open(journal)?;
    file.seek(SeekFrom::Start(from))?;
    let mut file = BufReader::with_capacity(READ_BYTES, file);
    let (mut at, mut last) = (from, None);
    loop {
        let bytes = file.fill_buf()?;
        if bytes.is_empty() {
            return Ok(last);
        }
        if let Some(index) = bytes.iter().rposition(|byte| *byte != 0) {
            last = Some(at + index as u64);
        }
        let read = bytes.len();
        at += read as u64;
        file.consume(read);
    }
}
