//! The files of an IDL: reading, parsing, and following what they include.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use pilota_thrift_parser::{File, FileParser, FileSource, Item};

use super::locate::{self, Spot};
use super::{IDL_FILE_BYTES_MAX, IDL_FILES_MAX, IdlError, NESTING_MAX};

/// A file that was read.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) name: String,
    pub(super) text: String,
    pub(super) file: File,
    /// What each included file is called here, and its position.
    pub(super) includes: Vec<(String, usize)>,
    /// Positions of items by name.
    names: HashMap<String, usize>,
}

impl Loaded {
    /// The item of this name.
    pub(super) fn item(&self, name: &str) -> Option<&Item> {
        self.names.get(name).map(|at| &self.file.items[*at])
    }

    pub(super) fn services(&self) -> impl Iterator<Item = &str> {
        let items = self.file.items.iter();
        items.filter_map(|item| match item {
            Item::Service(service) => Some(service.name.as_str()),
            _ => None,
        })
    }

    /// A mistake in the declaration of `item`, at its `member` if there is one.
    pub(super) fn mistake(&self, item: &str, member: Option<&str>, message: String) -> IdlError {
        self.mistake_at(locate::declaration(&self.text, item, member), message)
    }

    fn mistake_at(&self, spot: Option<Spot>, message: String) -> IdlError {
        IdlError {
            file: self.name.clone(),
            line: spot.map_or(0, |spot| spot.line),
            column: spot.map_or(0, |spot| spot.column),
            message,
        }
    }
}

/// Says what is in a file, or why it cannot.
type Read<'r> = dyn FnMut(&str) -> Result<String, String> + 'r;

pub(super) struct Loader<'r> {
    read: &'r mut Read<'r>,
    files: Vec<Loaded>,
}

impl<'r> Loader<'r> {
    pub(super) const fn new(read: &'r mut Read<'r>) -> Self {
        Self {
            read,
            files: Vec::new(),
        }
    }

    pub(super) fn load(mut self, name: &str) -> Result<Vec<Loaded>, IdlError> {
        let first = self.parse(name)?;
        self.files.push(first);
        // Grows while it is walked through, up to the most files.
        let mut at = 0;
        while at < self.files.len() {
            self.files[at].includes = self.include_all(at)?;
            at += 1;
        }
        Ok(self.files)
    }

    fn include_all(&mut self, at: usize) -> Result<Vec<(String, usize)>, IdlError> {
        let items = self.files[at].file.items.iter();
        let paths = items.filter_map(|item| match item {
            Item::Include(include) => Some(include.path.0.clone()),
            _ => None,
        });
        let paths: Vec<String> = paths.collect();
        paths.iter().map(|path| self.include(at, path)).collect()
    }

    /// What the file at `path` is called by its includer, and where it is.
    fn include(&mut self, includer: usize, path: &str) -> Result<(String, usize), IdlError> {
        let from = &self.files[includer];
        let refused = |message: String| from.mistake_at(locate::include(&from.text, path), message);
        let Some(name) = joined(&from.name, path) else {
            let message = format!("{path:?} is not within the directory of the first file");
            return Err(refused(message));
        };
        let stem = name.rsplit('/').next().unwrap_or(&name);
        let stem = stem.strip_suffix(".thrift").unwrap_or(stem).to_owned();
        if let Some(known) = self.files.iter().position(|file| file.name == name) {
            return Ok((stem, known));
        }
        if self.files.len() >= IDL_FILES_MAX {
            return Err(refused(format!("more than {IDL_FILES_MAX} files")));
        }
        let text = (self.read)(&name).map_err(refused)?;
        self.files.push(parsed(&name, text)?);
        Ok((stem, self.files.len() - 1))
    }

    fn parse(&mut self, name: &str) -> Result<Loaded, IdlError> {
        let text = (self.read)(name).map_err(|why| IdlError::whole_file(name, why))?;
        parsed(name, text)
    }
}

/// `path` as it is seen from the first file's directory, where `from` lies in; nothing if
/// it leads out of it.
fn joined(from: &str, path: &str) -> Option<String> {
    if path.is_empty() || path.starts_with('/') {
        return None;
    }
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

fn parsed(name: &str, text: String) -> Result<Loaded, IdlError> {
    if text.len() > IDL_FILE_BYTES_MAX {
        let message = format!("a file of more than {IDL_FILE_BYTES_MAX} bytes");
        return Err(IdlError::whole_file(name, message));
    }
    if locate::nesting(&text) > NESTING_MAX {
        let message = format!("brackets more than {NESTING_MAX} deep in each other");
        return Err(IdlError::whole_file(name, message));
    }
    // A defect of the parser's costs a file, not the process.
    let parsing = catch_unwind(AssertUnwindSafe(|| {
        FileParser::new(FileSource::new(&text)).parse()
    }));
    let file = match parsing {
        Ok(Ok(file)) => file,
        Ok(Err(error)) => return Err(syntax_error(name, &format!("{error:?}"))),
        Err(_) => return Err(IdlError::whole_file(name, "the parser gives up")),
    };
    let mut loaded = Loaded {
        name: name.to_owned(),
        text,
        file,
        includes: Vec::new(),
        names: HashMap::new(),
    };
    for (at, item) in loaded.file.items.iter().enumerate() {
        let Some(declared) = declared_name(item) else {
            continue;
        };
        if loaded.names.insert(declared.to_owned(), at).is_some() {
            let message = format!("`{declared}` is declared twice");
            return Err(loaded.mistake(declared, None, message));
        }
    }
    Ok(loaded)
}

fn declared_name(item: &Item) -> Option<&str> {
    Some(match item {
        Item::Include(_) | Item::CppInclude(_) | Item::Namespace(_) => return None,
        Item::Typedef(it) => it.alias.as_str(),
        Item::Constant(it) => it.name.as_str(),
        Item::Enum(it) => it.name.as_str(),
        Item::Struct(it) => it.name.as_str(),
        Item::Union(it) => it.name.as_str(),
        Item::Exception(it) => it.name.as_str(),
        Item::Service(it) => it.name.as_str(),
    })
}

/// What the parser says in front of a place.
const PLACE: &str = " line ";

/// The parser's own words for the first mistake, which begin with its place:
/// `... line 3:14 - found '}' at 50..51 expected ...`.
fn syntax_error(name: &str, summary: &str) -> IdlError {
    let placed = summary.to_ascii_lowercase().find(PLACE).and_then(|at| {
        let rest = &summary[at + PLACE.len()..];
        let (place, reason) = rest.split_once(" - ")?;
        let (line, column) = place.split_once(':')?;
        let reason = reason.lines().next()?;
        Some((line.parse().ok()?, column.parse().ok()?, reason))
    });
    let Some((line, column, reason)) = placed else {
        return IdlError::whole_file(name, "it cannot be parsed");
    };
    IdlError {
        file: name.to_owned(),
        line,
        column,
        message: format!("it cannot be parsed: {}", cut(reason)),
    }
}

/// The most characters of the parser's words that are repeated.
const REASON_CHARS_MAX: usize = 200;

fn cut(reason: &str) -> String {
    match reason.char_indices().nth(REASON_CHARS_MAX) {
        Some((end, _)) => format!("{}...", &reason[..end]),
        None => reason.to_owned(),
    }
}
