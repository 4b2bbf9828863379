//! Syntax errors, each reported once, and a text that parses in spite of them.
//!
//! One unclosed bracket makes a TOML parser misread everything after it. So a
//! statement that is broken is reported and then blanked out (bytes become spaces,
//! every other offset stays), and the text is parsed again, until it is clean: the
//! mistakes in the rest of the file are found in the same run. What was blanked is
//! remembered as [`Lost`], so a key that only seems to be missing is not reported.

mod statements;

use super::findings::{Finding, KeyPath};
use statements::{Statement, statements};
use std::borrow::Cow;
use toml::de::{DeTable, Error};

/// With more broken statements than this the rest of the file is not read.
pub(super) const SYNTAX_ERRORS_MAX: usize = 64;

/// A statement that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Lost {
    /// One `key = value`; the full dotted path, array indexes left out.
    Key(String),
    /// Some statement of this table.
    KeyOf(String),
    /// A whole table with everything in it.
    Table(String),
    /// Nobody knows what.
    Anything,
}

impl Lost {
    /// Whether `key` of `section` may have been in it.
    pub(super) fn may_hold(&self, section: &KeyPath, key: &str) -> bool {
        let section_path = without_indexes(section.as_str());
        let full = without_indexes(section.child(key).as_str());
        match self {
            Self::Key(path) => within(path, &full),
            Self::KeyOf(path) => *path == section_path,
            Self::Table(path) => within(path, &full) || within(&section_path, path),
            Self::Anything => true,
        }
    }
}

/// Whether `path` is `outer` or something in it.
fn within(path: &str, outer: &str) -> bool {
    path.strip_prefix(outer)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

pub(super) fn without_indexes(path: &str) -> String {
    let mut plain = String::with_capacity(path.len());
    let mut depth = 0_usize;
    for c in path.chars() {
        match c {
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            _ if depth == 0 => plain.push(c),
            _ => {}
        }
    }
    plain
}

/// A text without syntax errors, and the errors it had.
pub(super) struct Repaired<'t> {
    pub(super) text: Cow<'t, str>,
    pub(super) findings: Vec<Finding>,
    pub(super) lost: Vec<Lost>,
}

/// Finds the broken statements of `text` and blanks them out.
pub(super) fn repair(text: &str) -> Repaired<'_> {
    let mut repaired = Repaired {
        text: Cow::Borrowed(text),
        findings: Vec::new(),
        lost: Vec::new(),
    };
    let Some(mut error) = first_error(text) else {
        return repaired;
    };
    let statements = statements(text);
    let mut blanked = vec![false; statements.len()];
    for _ in 0..SYNTAX_ERRORS_MAX {
        let Some(index) = guilty(&statements, &blanked, offset(&error)) else {
            break;
        };
        let statement = &statements[index];
        repaired.findings.push(describe(text, statement, &error));
        repaired.lost.push(statement.lost());
        let end = section_end(&statements, index);
        blanked[index..end].fill(true);
        let span = statement.span.start..statements[end - 1].span.end;
        blank(repaired.text.to_mut(), span);
        match first_error(&repaired.text) {
            Some(next) => error = next,
            None => return repaired,
        }
    }
    repaired.text = Cow::Borrowed("");
    repaired.lost.push(Lost::Anything);
    repaired
}

fn first_error(text: &str) -> Option<Error> {
    let (_, errors) = DeTable::parse_recoverable(text);
    errors.into_iter().min_by_key(offset)
}

fn offset(error: &Error) -> usize {
    error.span().map_or(0, |span| span.start)
}

/// The statement an error at `offset` comes from: the first unclosed one before it,
/// which swallowed what follows, or else the one it is in.
fn guilty(statements: &[Statement], blanked: &[bool], offset: usize) -> Option<usize> {
    let mut candidates = statements
        .iter()
        .enumerate()
        .filter(|(index, statement)| !blanked[*index] && statement.span.start <= offset);
    let unclosed = candidates
        .clone()
        .find(|(_, statement)| statement.unclosed.is_some());
    let (index, _) = unclosed.or_else(|| candidates.next_back())?;
    Some(index)
}

/// A broken header takes its table with it: its keys must not be read as those of
/// the table before.
fn section_end(statements: &[Statement], index: usize) -> usize {
    if !statements[index].is_header {
        return index + 1;
    }
    let following = statements[index + 1..].iter();
    index
        + 1
        + following
            .take_while(|statement| !statement.is_header)
            .count()
}

fn blank(text: &mut String, span: std::ops::Range<usize>) {
    let spaces: String = text[span.clone()]
        .chars()
        .flat_map(|c| {
            let filler = if c == '\n' { '\n' } else { ' ' };
            std::iter::repeat_n(filler, c.len_utf8())
        })
        .collect();
    text.replace_range(span, &spaces);
}

fn describe(text: &str, statement: &Statement, error: &Error) -> Finding {
    let key = KeyPath::written(statement.path());
    let inside = statement.span.contains(&offset(error));
    if let (Some((open, bracket)), false) = (&statement.unclosed, inside) {
        let finding = Finding::new(open.clone(), key, format!("`{bracket}` is never closed"));
        let close = match *bracket {
            "[" => "]",
            "{" => "}",
            quotes => quotes,
        };
        return finding.expected(format!("a matching `{close}`"));
    }
    let line = text[statement.span.clone()].trim();
    if statement.is_header && !line.starts_with('[') {
        let start = text[..statement.span.end].rfind(line).unwrap_or(0);
        return Finding::new(
            start..start + line.len(),
            key,
            "a header without its opening bracket",
        )
        .expected(format!("[{line}"));
    }
    let span = error.span().unwrap_or(0..0);
    let message = error.message();
    if let Some(span) = unquoted_word(text, statement, span.start, message) {
        let value = &text[span.clone()];
        let expected = format!("a string in quotes: \"{value}\"");
        return Finding::new(span, key, "a string without quotes").expected(expected);
    }
    match message.split_once(", expected ") {
        Some((message, expected)) => Finding::new(span, key, message).expected(expected),
        None if message == "duplicate key" => {
            Finding::new(span, key, message).expected("every key and table once")
        }
        None => Finding::new(span, key, message).expected("valid TOML (https://toml.io)"),
    }
}

/// The word at `offset` if it can only have been meant as a string; the parser calls
/// it a bad number or a bad boolean, after its first letter.
fn unquoted_word(
    text: &str,
    statement: &Statement,
    offset: usize,
    message: &str,
) -> Option<std::ops::Range<usize>> {
    let as_value = [
        "string values must be quoted",
        "invalid float",
        "invalid integer",
        "invalid boolean",
        "invalid datetime",
    ];
    if !as_value.iter().any(|start| message.starts_with(start)) {
        return None;
    }
    let outside =
        |c: char| c.is_whitespace() || matches!(c, '=' | ',' | '[' | ']' | '{' | '}' | '#' | '"');
    let (before, after) = text.split_at_checked(offset)?;
    let start = before.rfind(outside).map_or(0, |at| at + 1);
    let end = offset + after.find(outside).unwrap_or(after.len());
    let word = text.get(start.max(statement.span.start)..end)?;
    let boolean = ["true", "false"]
        .iter()
        .any(|boolean| word.eq_ignore_ascii_case(boolean));
    let number = |c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '_' | 'e' | 'E');
    let is_text = !boolean && !word.chars().all(number) && word.chars().any(char::is_alphanumeric);
    is_text.then_some(start..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(text: &str) -> Vec<(usize, String, String)> {
        let repaired = repair(text);
        assert_eq!(repaired.text.len() % (text.len() + 1), repaired.text.len());
        assert!(first_error(&repaired.text).is_none());
        let line = |offset: usize| text[..offset].matches('\n').count() + 1;
        repaired
            .findings
            .iter()
            .map(|f| (line(f.span.start), f.key.to_string(), f.message.clone()))
            .collect()
    }

    fn found(line: usize, key: &str, message: &str) -> (usize, String, String) {
        (line, key.to_owned(), message.to_owned())
    }

    #[test]
    fn a_correct_text_is_left_alone() {
        let text = "a = 1\n[b]\nc = { d = [\n1,\n] }\n";
        assert!(matches!(repair(text).text, Cow::Borrowed(same) if same == text));
    }

    #[test]
    fn an_unclosed_bracket_costs_one_error_and_hides_nothing_else() {
        let text = "[s.w]\nx = [1, 2\ny = 2\nz = nine\n[t]\nu = { a = 1\nv = \"open\n";
        assert_eq!(
            messages(text),
            [
                found(2, "s.w.x", "`[` is never closed"),
                found(4, "s.w.z", "a string without quotes"),
                found(6, "t.u", "`{` is never closed"),
                found(7, "t.v", "invalid basic string"),
            ]
        );
    }

    #[test]
    fn a_repeated_table_is_one_error() {
        let text = "[s]\na = 1\nb = 2\n[s]\na = 1\nb = 3\n[t]\na = 1\na = 2\n";
        assert_eq!(
            messages(text),
            [
                found(4, "s", "duplicate key"),
                found(8 + 1, "t.a", "duplicate key")
            ]
        );
    }

    #[test]
    fn what_a_broken_statement_hid_is_not_missing() {
        let lost = repair("[servers.web]\nlisten = [\"a\"\nprotocol = http\n").lost;
        let web = KeyPath::default().child("servers").child("web");
        let holds = |key: &str| lost.iter().any(|lost| lost.may_hold(&web, key));
        assert!(holds("listen") && holds("protocol") && !holds("routes"));
    }

    #[test]
    fn a_broken_header_takes_its_table_along() {
        let repaired = repair("[a]\nx = 1\n[b\ny = 2\nz = 3\n[c]\nw = 4\n");
        assert_eq!(repaired.findings.len(), 1);
        assert!(!repaired.text.contains('y') && repaired.text.contains("w = 4"));
    }

    #[test]
    fn a_header_without_its_opening_bracket_is_still_one() {
        let text = "[a]\nx = 1\nb]\nx = 2\n[c]\nx = 3\n";
        assert_eq!(
            messages(text),
            [found(3, "b", "a header without its opening bracket")]
        );
    }

    #[test]
    fn endless_nonsense_ends() {
        let text = "x = [\n".repeat(5_000);
        let repaired = repair(&text);
        assert_eq!(repaired.findings.len(), SYNTAX_ERRORS_MAX);
        assert_eq!(repaired.text, "");
    }
}
