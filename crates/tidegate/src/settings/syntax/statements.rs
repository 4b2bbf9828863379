//! Cuts a text into statements without trusting it to be correct.
//!
//! A statement begins with a line and ends with the line on which all its brackets
//! are closed. One that is never closed ends before the next line that looks like
//! the beginning of another.

use super::{Lost, SYNTAX_ERRORS_MAX};
use std::collections::BTreeMap;
use std::ops::Range;

/// One header, one `key = value`, or a line with neither.
#[derive(Debug)]
pub(super) struct Statement {
    /// With the line end.
    pub(super) span: Range<usize>,
    pub(super) is_header: bool,
    /// The bracket or quotes that are never closed.
    pub(super) unclosed: Option<(Range<usize>, &'static str)>,
    /// The table it is in, with array indexes.
    table: String,
    /// Its own key, if it can be told.
    key: Option<String>,
}

impl Statement {
    /// The dotted path of what it sets, as far as can be told.
    pub(super) fn path(&self) -> String {
        match &self.key {
            Some(key) if self.table.is_empty() => key.clone(),
            Some(key) => format!("{}.{key}", self.table),
            None => self.table.clone(),
        }
    }

    /// What is lost when it cannot be read.
    pub(super) fn lost(&self) -> Lost {
        let path = super::without_indexes(&self.path());
        match (self.is_header, &self.key) {
            (true, _) if path.is_empty() => Lost::Anything,
            (true, _) => Lost::Table(path),
            (false, Some(_)) => Lost::Key(path),
            (false, None) => Lost::KeyOf(path),
        }
    }
}

/// All statements of `text`; together they cover it, except that after too many
/// unclosed ones the rest is left out.
pub(super) fn statements(text: &str) -> Vec<Statement> {
    let mut statements = Vec::new();
    let mut tables = Tables::default();
    let mut start = 0;
    let mut unclosed_count = 0;
    while start < text.len() && unclosed_count <= SYNTAX_ERRORS_MAX {
        let (end, unclosed) = extent(text, start);
        unclosed_count += usize::from(unclosed.is_some());
        let line = text[start..end].trim_start();
        let is_header = line.starts_with('[') || lacks_opening_bracket(line);
        let key = if is_header {
            tables.enter(line);
            None
        } else {
            dotted_key(line).map(|(key, _)| key.join("."))
        };
        statements.push(Statement {
            span: start..end,
            is_header,
            unclosed,
            table: tables.current.clone(),
            key,
        });
        start = end;
    }
    statements
}

/// Follows the headers, to know which table a line is in.
#[derive(Default)]
struct Tables {
    current: String,
    /// How many elements each array of tables has so far.
    arrays: BTreeMap<String, usize>,
}

impl Tables {
    fn enter(&mut self, header: &str) {
        let is_array = header.starts_with("[[");
        let Some((keys, _)) = dotted_key(header.trim_start_matches('[')) else {
            self.current = String::new();
            return;
        };
        if is_array {
            *self.arrays.entry(keys.join(".")).or_default() += 1;
        }
        self.current = String::new();
        for count in 1..=keys.len() {
            if count > 1 {
                self.current.push('.');
            }
            self.current.push_str(&keys[count - 1]);
            if let Some(elements) = self.arrays.get(&keys[..count].join(".")) {
                self.current.push_str(&format!("[{}]", elements - 1));
            }
        }
    }
}

/// The dotted key `text` begins with, as it is written, and what follows it.
fn dotted_key(text: &str) -> Option<(Vec<String>, &str)> {
    let mut keys = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([' ', '\t']);
        let length = match rest.chars().next()? {
            quote @ ('"' | '\'') => rest[1..].lines().next()?.find(quote)? + 2,
            _ => rest
                .bytes()
                .take_while(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(byte))
                .count(),
        };
        let (key, after) = rest.split_at_checked(length).filter(|_| length > 0)?;
        keys.push(key.to_owned());
        rest = after.trim_start_matches([' ', '\t']);
        match rest.strip_prefix('.') {
            Some(next) => rest = next,
            None => return Some((keys, rest)),
        }
    }
}

/// Where the statement that begins at `start` ends, and what it leaves open.
fn extent(text: &str, start: usize) -> (usize, Option<(Range<usize>, &'static str)>) {
    let bytes = text.as_bytes();
    let mut open: Vec<(Range<usize>, &'static str)> = Vec::new();
    let mut at = start;
    while at < bytes.len() {
        let step = match bytes[at] {
            b'\n' if open.is_empty() => return (at + 1, None),
            b'#' => line_rest(bytes, at),
            b'[' | b'{' => {
                let bracket = if bytes[at] == b'[' { "[" } else { "{" };
                open.push((at..at + 1, bracket));
                1
            }
            b']' | b'}' => {
                open.pop();
                1
            }
            b'"' | b'\'' => match quotes(bytes, at) {
                Quotes::Closed(length) => length,
                Quotes::Open(kind) => {
                    open.push((at..at + 3, kind));
                    bytes.len() - at
                }
            },
            _ => 1,
        };
        // A header is one line, whatever it forgets to close.
        if bytes[at] == b'\n' && text[start..].trim_start().starts_with('[') {
            return (at + 1, None);
        }
        at += step;
    }
    if open.is_empty() || text[start..].trim_start().starts_with('[') {
        return (bytes.len(), None);
    }
    (resumption(text, start), open.into_iter().next())
}

enum Quotes {
    /// So many bytes, quotes included.
    Closed(usize),
    /// A string over several lines that does not end.
    Open(&'static str),
}

fn quotes(bytes: &[u8], at: usize) -> Quotes {
    let quote = bytes[at];
    let rest = &bytes[at..];
    let triple = rest.len() >= 3 && rest[1] == quote && rest[2] == quote;
    let width = if triple { 3 } else { 1 };
    let mut end = width;
    while end < rest.len() {
        match rest[end] {
            b'\\' if quote == b'"' && rest.get(end + 1) != Some(&b'\n') => end += 1,
            // A string on one line ends with the line, closed or not.
            b'\n' if !triple => return Quotes::Closed(end),
            byte if byte == quote && !triple => return Quotes::Closed(end + 1),
            byte if byte == quote && rest[end..].starts_with(&[quote; 3]) => {
                let extra = rest[end + 3..].iter().take(2);
                return Quotes::Closed(end + 3 + extra.take_while(|b| **b == quote).count());
            }
            _ => {}
        }
        end += 1;
    }
    match (triple, quote) {
        (false, _) => Quotes::Closed(rest.len()),
        (true, b'"') => Quotes::Open("\"\"\""),
        (true, _) => Quotes::Open("'''"),
    }
}

fn line_rest(bytes: &[u8], at: usize) -> usize {
    let rest = bytes[at..].iter();
    rest.take_while(|byte| **byte != b'\n').count()
}

/// Where the next statement seems to begin when the one at `start` does not end: a
/// header, or a key that is not indented deeper.
fn resumption(text: &str, start: usize) -> usize {
    let indent = |line: &str| line.len() - line.trim_start_matches([' ', '\t']).len();
    let mut lines = text[start..].split_inclusive('\n');
    let first = lines.next().unwrap_or("");
    let mut at = start + first.len();
    for line in lines {
        let is_key = dotted_key(line).is_some_and(|(_, rest)| rest.starts_with('='));
        if looks_like_header(line) || (is_key && indent(line) <= indent(first)) {
            return at;
        }
        at += line.len();
    }
    text.len()
}

/// `upstreams.api]`: what follows belongs to that table, not to the one before.
fn lacks_opening_bracket(line: &str) -> bool {
    dotted_key(line).is_some_and(|(_, rest)| rest.starts_with(']'))
}

fn looks_like_header(line: &str) -> bool {
    let line = line.trim();
    let inner = line.trim_start_matches('[');
    let brackets = line.len() - inner.len();
    (1..=2).contains(&brackets)
        && dotted_key(inner).is_some_and(|(_, rest)| {
            rest.starts_with(&"]]"[..brackets]) && !rest[brackets..].trim_start().starts_with(',')
        })
}
