//! Finds the end of a head or trailer section as its bytes arrive.
//!
//! Called by the head parsers and the trailer decoder. Invariants: a byte that
//! was found to end no line is not looked at again, so dribbled input costs
//! linear time; every error depends on positions only, never on how the input
//! was split.

use memchr::memchr2;

use super::{Limits, ParseError};

/// The length of `CRLF`.
pub(super) const LINE_END: usize = 2;

/// How many ends of lines are noted: those of almost every head.
const NOTED_ENDS: usize = 24;

/// Where the first lines of a head end, so that they need not be looked for again.
#[derive(Debug)]
pub(super) struct LineEnds {
    /// Offsets of the `\r`.
    offsets: [u32; NOTED_ENDS],
    count: usize,
}

impl LineEnds {
    pub(super) const fn new() -> Self {
        Self {
            offsets: [0; NOTED_ENDS],
            count: 0,
        }
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
            #[cfg(test)]
            examined: 0,
        }
    }

    /// Looks at the bytes that came since the last call; `Some(length)` once
    /// the block, its empty line included, is in `bytes`. An empty first line
    /// counts as a whole block of [`LINE_END`] bytes. Of a block that came
    /// at once, `ends` gets where its lines end.
    pub(super) fn find_end(
        &mut self,
        bytes: &[u8],
        limits: &BlockLimits,
        ends: &mut LineEnds,
    ) -> Result<Option<usize>, ParseError> {
        let is_first = self.position == 0;
        loop {
            let found = memchr2(b'\r', b'\n', &bytes[self.position..]);
            let at = found.map_or(bytes.len(), |offset| self.position + offset);
            #[cfg(test)]
            {
                self.examined += at - self.position + 1;
            }
            self.position = at;
            self.check(at, limits)?;
            if found.is_none() {
                return Ok(None);
            }
            if bytes[at] == b'\n' {
                return Err(ParseError::BareLineFeed);
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
