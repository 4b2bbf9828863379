//! Finds the end of a head or trailer section as its bytes arrive.
//!
//! Called by the head parsers and the trailer decoder. The same look at the bytes
//! tells where lines end and whether any holds what no field value may. Invariants: a
//! byte that was found to end no line is not looked at again, so dribbled input costs
//! linear time; every error depends on positions only, never on how the input
//! was split.

use super::{Limits, ParseError};

/// The length of `CRLF`.
pub(super) const LINE_END: usize = 2;

/// How many ends of lines are noted: those of almost every head.
const NOTED_ENDS: usize = 24;

/// What the scan has found out about a block, so that it need not be looked for again.
#[derive(Debug)]
pub(super) struct LineEnds {
    /// Offsets of the first `\r`s.
    offsets: [u32; NOTED_ENDS],
    count: usize,
    text: Text,
}

/// What lines are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Text {
    /// Nothing that may not be in a value (RFC 9110 section 5.5).
    Clean,
    /// Something that may not; in which line is to be found out.
    Doubtful,
}

impl LineEnds {
    pub(super) const fn new() -> Self {
        Self {
            offsets: [0; NOTED_ENDS],
            count: 0,
            text: Text::Clean,
        }
    }

    /// What the whole block is made of, once its end has been found.
    pub(super) const fn text(&self) -> Text {
        self.text
    }

    pub(super) fn offsets(&self) -> &[u32] {
        &self.offsets[..self.count]
    }

    fn note(&mut self, offset: usize) {
        if let Some(place) = self.offsets.get_mut(self.count)
            && let Ok(offset) = u32::try_from(offset)
        {
            *place = offset;
            self.count += 1;
        }
    }
}

/// Where the scan stands, in offsets from the start of the buffer.
#[derive(Debug)]
pub(super) struct BlockScanner {
    first_line: FirstLine,
    /// Next byte to look at.
    position: usize,
    line_start: usize,
    /// Where the counted field lines begin.
    block_start: usize,
    /// What the bytes before `position` are.
    text: Text,
    #[cfg(test)]
    examined: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FirstLine {
    Expected,
    Seen,
}

/// Limits of the block being scanned.
#[derive(Clone, Copy, Debug)]
pub(super) struct BlockLimits {
    first_line_bytes: usize,
    block_bytes: usize,
    block_error: ParseError,
}

impl BlockLimits {
    pub(super) const fn head(limits: &Limits) -> Self {
        Self {
            first_line_bytes: limits.request_line_bytes,
            block_bytes: limits.header_bytes,
            block_error: ParseError::HeadTooLarge,
        }
    }

    pub(super) const fn trailers(trailer_bytes: usize) -> Self {
        Self {
            first_line_bytes: 0,
            block_bytes: trailer_bytes,
            block_error: ParseError::TrailersTooLarge,
        }
    }
}

impl BlockScanner {
    /// For a first line and field lines up to an empty line.
    pub(super) const fn head() -> Self {
        Self::with(FirstLine::Expected)
    }

    /// For field lines up to an empty line.
    pub(super) const fn trailers() -> Self {
        Self::with(FirstLine::Seen)
    }

    const fn with(first_line: FirstLine) -> Self {
        Self {
            first_line,
            position: 0,
            line_start: 0,
            block_start: 0,
            text: Text::Clean,
            #[cfg(test)]
            examined: 0,
        }
    }

    /// Looks at the bytes that came since the last call; `Some(length)` once
    /// the block, its empty line included, is in `bytes`. An empty first line
    /// counts as a whole block of [`LINE_END`] bytes. `ends` gets what the block is
    /// made of and, of one that came at once, where its lines end.
    pub(super) fn find_end(
        &mut self,
        bytes: &[u8],
        limits: &BlockLimits,
        ends: &mut LineEnds,
    ) -> Result<Option<usize>, ParseError> {
        let is_first = self.position == 0;
        loop {
            let found = next_control(bytes, self.position);
            let at = found.unwrap_or(bytes.len());
            #[cfg(test)]
            {
                self.examined += at - self.position + 1;
            }
            self.position = at;
            self.check(at, limits)?;
            match bytes.get(at) {
                None => return Ok(None),
                Some(b'\r') => {}
                Some(b'\n') => return Err(ParseError::BareLineFeed),
                Some(&other) => {
                    if other != b'\t' {
                        self.text = Text::Doubtful;
                    }
                    self.position = at + 1;
                    continue;
                }
            }
            match bytes.get(at + 1) {
                None => return Ok(None),
                Some(b'\n') => {}
                Some(_) => return Err(ParseError::BareCarriageReturn),
            }
            let next = at + LINE_END;
            if is_first {
                ends.note(at);
            }
            if at == self.line_start {
                ends.text = self.text;
                return Ok(Some(next));
            }
            self.position = next;
            self.line_start = next;
            if self.first_line == FirstLine::Expected {
                self.first_line = FirstLine::Seen;
                self.block_start = next;
            }
        }
    }

    /// How many bytes have been looked at, counting repeats.
    #[cfg(test)]
    pub(super) const fn examined(&self) -> usize {
        self.examined
    }

    /// The block cannot end before `at + LINE_END`: enough to refuse early.
    const fn check(&self, at: usize, limits: &BlockLimits) -> Result<(), ParseError> {
        match self.first_line {
            FirstLine::Expected if at > limits.first_line_bytes => {
                Err(ParseError::RequestLineTooLong)
            }
            FirstLine::Seen if at + LINE_END - self.block_start > limits.block_bytes => {
                Err(limits.block_error)
            }
            _ => Ok(()),
        }
    }
}

/// Bytes looked at together.
const WORD_BYTES: usize = size_of::<u64>();

/// The first control character from `start` on: all that end a line are among them.
///
/// Lines of a head are short: a call of a search that is made for long ones costs more than
/// the search itself.
#[inline]
fn next_control(bytes: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    while let Some(word) = bytes.get(at..).and_then(|rest| rest.first_chunk()) {
        let controls = controls(u64::from_le_bytes(*word));
        if controls != 0 {
            return Some(at + controls.trailing_zeros() as usize / 8);
        }
        at += WORD_BYTES;
    }
    let rest = bytes.get(at..)?;
    let offset = rest.iter().position(u8::is_ascii_control)?;
    Some(at + offset)
}

/// The top bit of the first byte that is a control character; above it others may be set that
/// stand for nothing.
///
/// Taking a number from each byte sets the top bits of those that were smaller, unless they
/// were set before; what a byte borrows from the next comes too late for the first.
#[inline]
const fn controls(word: u64) -> u64 {
    const EACH: u64 = u64::from_ne_bytes([1; WORD_BYTES]);
    const TOP: u64 = EACH << 7;
    let below_space = word.wrapping_sub(EACH * 0x20) & !word;
    let delete = word ^ (EACH * 0x7f);
    let is_delete = delete.wrapping_sub(EACH) & !delete;
    (below_space | is_delete) & TOP
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_first_control_character_is_found_wherever_it_is(
            bytes in prop::collection::vec(
                prop_oneof![20 => b' '..=b'~', 2 => 0x80..=0xff_u8, 1 => 0..b' ', 1 => Just(0x7f)],
                0..40,
            ),
            start in 0_usize..40,
        ) {
            let rest = bytes.get(start..).unwrap_or_default();
            let expected = rest.iter().position(u8::is_ascii_control);
            prop_assert_eq!(next_control(&bytes, start), expected.map(|offset| start + offset));
        }
    }
}
