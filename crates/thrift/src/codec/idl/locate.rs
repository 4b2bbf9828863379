//! Finding in a text what the parser has left no places of.

/// Line and column, both from 1; columns count characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spot {
    pub(super) line: usize,
    pub(super) column: usize,
}

/// What declares something by the word that follows.
const NAMED: [&str; 5] = ["struct", "union", "exception", "enum", "service"];
/// What declares something by the last word before its end.
const TYPED: [&str; 2] = ["typedef", "const"];

/// Where `member` of the declaration of `name` is written, or else the declaration is.
pub(super) fn declaration(text: &str, name: &str, member: Option<&str>) -> Option<Spot> {
    let tokens: Vec<(usize, &str)> = Tokens { text, at: 0 }.collect();
    let begins = |token: &str| NAMED.contains(&token) || TYPED.contains(&token);
    let begun = tokens.iter().enumerate().find_map(|(at, (_, token))| {
        if NAMED.contains(token) {
            return (tokens.get(at + 1)?.1 == name).then_some(at + 1);
        }
        if !TYPED.contains(token) {
            return None;
        }
        let rest = tokens[at + 1..].iter();
        let within = rest.take_while(|(_, token)| !begins(token));
        let found = within.into_iter().position(|(_, token)| *token == name);
        found.map(|offset| at + 1 + offset)
    })?;
    let rest = tokens[begun + 1..].iter();
    let mut within = rest.take_while(|(_, token)| !begins(token));
    let member = member.and_then(|member| within.find(|(_, token)| *token == member));
    let (offset, _) = member.unwrap_or(&tokens[begun]);
    Some(spot(text, *offset))
}

/// Where a file is included.
pub(super) fn include(text: &str, path: &str) -> Option<Spot> {
    let mut tokens = Tokens { text, at: 0 };
    let found = tokens.find(|(_, token)| {
        let quoted = token.strip_prefix(['"', '\'']);
        quoted.is_some_and(|rest| rest.strip_suffix(['"', '\'']) == Some(path))
    });
    found.map(|(offset, _)| spot(text, offset))
}

/// How deep brackets lie in each other at most.
pub(super) fn nesting(text: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    for (_, token) in (Tokens { text, at: 0 }) {
        match token {
            "<" | "[" | "{" | "(" => depth += 1,
            ">" | "]" | "}" | ")" => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

/// Line and column of an offset.
fn spot(text: &str, offset: usize) -> Spot {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    Spot {
        line: before.matches('\n').count() + 1,
        column: before[line_start..].chars().count() + 1,
    }
}

/// Words, quoted texts, and everything else one by one; comments and white space are none.
struct Tokens<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Tokens<'t> {
    fn skip(&mut self) {
        loop {
            let rest = &self.text[self.at..];
            let blank = rest.len() - rest.trim_start().len();
            self.at += blank;
            let rest = &rest[blank..];
            let comment = if rest.starts_with("//") || rest.starts_with('#') {
                rest.find('\n').unwrap_or(rest.len())
            } else if rest.starts_with("/*") {
                rest.find("*/").map_or(rest.len(), |end| end + 2)
            } else {
                return;
            };
            self.at += comment;
        }
    }
}

impl<'t> Iterator for Tokens<'t> {
    type Item = (usize, &'t str);

    fn next(&mut self) -> Option<Self::Item> {
        self.skip();
        let rest = &self.text[self.at..];
        let first = rest.chars().next()?;
        let is_word = |it: char| it.is_ascii_alphanumeric() || it == '_' || it == '.';
        let length = match first {
            '"' | '\'' => {
                let mut is_escaped = false;
                let end = rest[1..].find(|it: char| {
                    let ends = it == first && !is_escaped;
                    is_escaped = it == '\\' && !is_escaped;
                    ends
                });
                end.map_or(rest.len(), |end| end + 2)
            }
            first if is_word(first) => rest.find(|it| !is_word(it)).unwrap_or(rest.len()),
            first => first.len_utf8(),
        };
        let token = (self.at, &rest[..length]);
        self.at += length;
        Some(token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
// struct User is below
include \"base.thrift\"
typedef list<User> Users
const i32 LIMIT = 7
struct Other { 1: i32 age }
struct /* a { comment */ User {
  1: string name = \"age }\",
  2: i32 age
}
";

    fn found(name: &str, member: Option<&str>) -> Option<(usize, usize)> {
        declaration(TEXT, name, member).map(|spot| (spot.line, spot.column))
    }

    #[test]
    fn declarations_are_found_and_comments_and_texts_are_none() {
        assert_eq!(found("User", None), Some((6, 26)));
        assert_eq!(found("User", Some("age")), Some((8, 10)));
        assert_eq!(found("User", Some("nothing")), Some((6, 26)));
        assert_eq!(found("Users", None), Some((3, 20)));
        assert_eq!(found("LIMIT", None), Some((4, 11)));
        assert_eq!(found("Nobody", None), None);
        let place = include(TEXT, "base.thrift").map(|spot| (spot.line, spot.column));
        assert_eq!(place, Some((2, 9)));
    }

    #[test]
    fn brackets_count_where_they_are_brackets() {
        assert_eq!(nesting("{ list<map<i32, i32>> } // {{{{{"), 3);
        assert_eq!(nesting("'{{{{' \"\\\"{{\" # [[["), 0);
        assert_eq!(nesting("/* { "), 0);
    }
}
