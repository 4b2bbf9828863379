//! What a program writes, line by line.

use tokio::io::{AsyncRead, AsyncReadExt};

use super::{LineSink, Output};

/// Where a line is cut, in bytes.
pub const LINE_BYTES_MAX: usize = 16 * 1024;

/// Gives each line of `stream` to `lines`, until the stream ends or breaks.
pub(super) async fn follow<R: AsyncRead + Unpin>(
    stream: Option<R>,
    output: Output,
    lines: &LineSink,
) {
    let Some(mut stream) = stream else {
        return;
    };
    let mut pending = Vec::with_capacity(1024);
    while let Ok(1..) = stream.read_buf(&mut pending).await {
        let mut begun = 0;
        while let Some(length) = end_of_line(&pending[begun..]) {
            say(&pending[begun..begun + length], output, lines);
            begun += length;
            // The end of the line itself, if that is why it ended.
            if pending.get(begun) == Some(&b'\n') {
                begun += 1;
            }
        }
        pending.drain(..begun);
    }
    if !pending.is_empty() {
        say(&pending, output, lines);
    }
}

/// How long the first line is: up to its end, or to where it is cut.
fn end_of_line(bytes: &[u8]) -> Option<usize> {
    let looked_at = &bytes[..bytes.len().min(LINE_BYTES_MAX)];
    let end = looked_at.iter().position(|byte| *byte == b'\n');
    end.or_else(|| (bytes.len() > LINE_BYTES_MAX).then_some(LINE_BYTES_MAX))
}

fn say(line: &[u8], output: Output, lines: &LineSink) {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    lines(output, &String::from_utf8_lossy(line));
}
