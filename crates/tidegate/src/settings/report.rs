//! What is wrong with a file, for programs and for people.

use super::findings::{Finding, Findings, Span};
use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use std::fmt;
use std::io::IsTerminal;

/// Every mistake of one file, in the order of the file.
#[derive(Debug, Clone)]
pub struct Report {
    /// At least one.
    pub errors: Vec<Located>,
    text: String,
}

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    /// The file, as it was named.
    pub file: String,
    /// The line, from 1; 0 when the mistake concerns the file as a whole.
    pub line: usize,
    /// The column in characters, from 1; 0 when the mistake concerns the file.
    pub column: usize,
    /// The dotted path of the key; empty when there is none.
    pub key: String,
    /// What is wrong.
    pub message: String,
    /// What would be right.
    pub expected: Option<String>,
    /// What to do about it.
    pub help: Option<String>,
    /// Another place the mistake has to do with.
    pub related: Option<Related>,
    span: Span,
}

/// The other place a mistake has to do with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Related {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// What is there.
    pub label: &'static str,
    span: Span,
}

/// Whether a rendered report is coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// Text only.
    Plain,
    /// ANSI escape codes.
    Ansi,
}

impl Colour {
    /// Colour when standard error is a terminal and `NO_COLOR` is not set.
    pub fn for_stderr() -> Self {
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        match std::io::stderr().is_terminal() && !unwanted {
            true => Self::Ansi,
            false => Self::Plain,
        }
    }
}

/// The most errors that are rendered or logged; all are counted.
const RENDERED_MAX: usize = 100;

impl Report {
    pub(super) fn new(origin: &str, text: &str, findings: &Findings) -> Self {
        let errors = findings.take().into_iter();
        Self {
            errors: errors
                .map(|finding| Located::new(origin, finding, findings))
                .collect(),
            text: text.to_owned(),
        }
    }

    /// A report about a file that cannot be read.
    pub(super) fn whole_file(origin: &str, message: String) -> Self {
        Self {
            errors: vec![Located {
                file: origin.to_owned(),
                line: 0,
                column: 0,
                key: String::new(),
                message,
                expected: None,
                help: None,
                related: None,
                span: 0..0,
            }],
            text: String::new(),
        }
    }

    /// Logs each error as an event of its own, for programs that read the log.
    pub fn log(&self) {
        for error in self.errors.iter().take(RENDERED_MAX) {
            tracing::error!(
                file = error.file,
                line = error.line,
                column = error.column,
                key = error.key,
                expected = error.expected,
                help = error.help,
                "{}",
                error.message
            );
        }
    }

    /// All errors with the lines they are about, for a person to read.
    pub fn render(&self, colour: Colour) -> String {
        let renderer = match colour {
            Colour::Plain => Renderer::plain(),
            Colour::Ansi => Renderer::styled(),
        };
        let shown = self.errors.iter().take(RENDERED_MAX);
        let mut rendered: String = shown
            .map(|error| renderer.render(&[error.group(&self.text)]) + "\n\n")
            .collect();
        if let Some(hidden @ 1..) = self.errors.len().checked_sub(RENDERED_MAX) {
            rendered.push_str(&format!("... and {hidden} more\n\n"));
        }
        let count = match self.errors.len() {
            1 => "1 error".to_owned(),
            count => format!("{count} errors"),
        };
        let file = self.errors.first().map_or("", |error| error.file.as_str());
        rendered + &format!("{file}: {count}\n")
    }
}

/// One line per error, for a log.
impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.errors.iter().take(RENDERED_MAX).enumerate() {
            if index > 0 {
                formatter.write_str("\n")?;
            }
            error.fmt(formatter)?;
        }
        match self.errors.len().checked_sub(RENDERED_MAX) {
            Some(hidden @ 1..) => write!(formatter, "\n... and {hidden} more"),
            _ => Ok(()),
        }
    }
}

impl std::error::Error for Report {}

impl Located {
    fn new(origin: &str, finding: Finding, findings: &Findings) -> Self {
        let place = findings.place(finding.span.start);
        let related = finding.related.map(|(span, label)| {
            let place = findings.place(span.start);
            Related {
                line: place.line,
                column: place.column,
                label,
                span,
            }
        });
        Self {
            file: origin.to_owned(),
            line: place.line,
            column: place.column,
            key: finding.key.as_str().to_owned(),
            message: finding.message,
            expected: finding.expected,
            help: finding.help,
            related,
            span: finding.span,
        }
    }

    fn title(&self) -> String {
        match self.key.as_str() {
            "" => self.message.clone(),
            key => format!("{key}: {}", self.message),
        }
    }

    fn group<'t>(&'t self, text: &'t str) -> Group<'t> {
        let title = Level::ERROR.primary_title(self.title());
        if self.line == 0 {
            return title.element(Origin::path(self.file.as_str()));
        }
        let primary = AnnotationKind::Primary.span(within(text, &self.span));
        let label = self.expected.as_ref();
        let label = label.map(|expected| format!("expected {expected}"));
        let mut snippet = Snippet::source(text)
            .path(self.file.as_str())
            .annotation(primary.label(label));
        if let Some(related) = &self.related {
            let context = AnnotationKind::Context.span(within(text, &related.span));
            snippet = snippet.annotation(context.label(related.label));
        }
        let group = title.element(snippet);
        match &self.help {
            Some(help) => group.element(Level::HELP.message(help.as_str())),
            None => group,
        }
    }
}

/// `span`, cut to the text and to its first line: a mistake is where it begins.
fn within(text: &str, span: &Span) -> Span {
    let start = text.floor_char_boundary(span.start);
    let end = text.ceil_char_boundary(span.end).max(start);
    let line = text[start..end].lines().next().unwrap_or("");
    start..start + line.len()
}

impl fmt::Display for Located {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.file)?;
        if self.line > 0 {
            write!(formatter, ":{}:{}", self.line, self.column)?;
        }
        write!(formatter, ": {}", self.title())?;
        match &self.expected {
            Some(expected) => write!(formatter, "; expected {expected}"),
            None => Ok(()),
        }
    }
}
