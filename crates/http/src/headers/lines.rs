//! Field lines as places in two texts: the head that was received, and what was added.

use bytes::{Bytes, BytesMut};

use super::field::{Field, FieldValue};
use super::role::{Role, Roles};

/// Between a name and its value, as it is written here.
const SEPARATOR: &[u8] = b": ";
const LINE_END: &[u8] = b"\r\n";
/// What a line takes up beside its name and its value.
const FIXED_BYTES: usize = SEPARATOR.len() + LINE_END.len();

/// The lines of one message. Never without a text that a line's place is in: lines of the
/// received head are told after it, and text is only ever added.
#[derive(Debug, Default)]
pub(super) struct Lines {
    received: Bytes,
    added: Vec<u8>,
    lines: Vec<Line>,
    /// Those of all lines there are, and of some there were.
    roles: Roles,
}

/// Where a field stands in its text, in bytes from its beginning.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) start: usize,
    pub(crate) name_end: usize,
    pub(crate) value_start: usize,
    pub(crate) value_end: usize,
    pub(crate) spelling: Spelling,
}

/// How the line is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spelling {
    /// As it would be written here: one space before the value, the line end behind it.
    /// It is sent on as it stands, together with its neighbours.
    Plain,
    /// With other white space, which is not sent on.
    Loose,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Text {
    Received,
    Added,
}

#[derive(Clone, Copy, Debug)]
struct Line {
    place: Place,
    text: Text,
    role: Role,
}

impl Lines {
    pub(super) fn receive(&mut self, head: Bytes) {
        self.received = head;
    }

    #[inline]
    pub(super) fn push_received(&mut self, place: Place, role: Role) {
        self.roles.add(role);
        self.lines.push(Line {
            place,
            text: Text::Received,
            role,
        });
    }

    pub(super) const fn roles(&self) -> Roles {
        self.roles
    }

    pub(super) fn add(&mut self, name: &str, value: &[u8]) {
        let start = self.begin(name, value.len());
        self.added.extend_from_slice(value);
        self.finish(start, name);
    }

    /// Adds `name` with the first value of `source`; whether there is one.
    pub(super) fn add_copy(&mut self, name: &str, source: &str) -> bool {
        let Some(line) = self.find(source).copied() else {
            return false;
        };
        let value = line.place.value_start..line.place.value_end;
        let start = self.begin(name, value.len());
        match line.text {
            Text::Received => self.added.extend_from_slice(&self.received[value]),
            Text::Added => self.added.extend_from_within(value),
        }
        self.finish(start, name);
        true
    }

    /// Begins a line, to which the value is added next; where it begins.
    fn begin(&mut self, name: &str, value_length: usize) -> usize {
        let start = self.added.len();
        self.added.reserve(name.len() + value_length + FIXED_BYTES);
        self.added.extend_from_slice(name.as_bytes());
        self.added.extend_from_slice(SEPARATOR);
        start
    }

    fn finish(&mut self, start: usize, name: &str) {
        let name_end = start + name.len();
        let place = Place {
            start,
            name_end,
            value_start: name_end + SEPARATOR.len(),
            value_end: self.added.len(),
            spelling: Spelling::Plain,
        };
        self.added.extend_from_slice(LINE_END);
        let role = Role::of(name.as_bytes());
        self.roles.add(role);
        self.lines.push(Line {
            place,
            text: Text::Added,
            role,
        });
    }

    pub(super) fn len(&self) -> usize {
        self.lines.len()
    }

    #[inline]
    pub(super) fn iter(&self) -> impl Iterator<Item = Field<'_>> + Clone {
        let lines = self.lines.iter();
        lines.map(|line| line.field(self.text(line.text)))
    }

    #[inline]
    pub(super) fn get(&self, name: &str) -> Option<FieldValue<'_>> {
        let line = self.find(name)?;
        Some(FieldValue::new(line.place.value(self.text(line.text))))
    }

    #[inline]
    fn find(&self, name: &str) -> Option<&Line> {
        // By length first: that settles it for most.
        self.lines.iter().find(|line| {
            let place = &line.place;
            place.name_end - place.start == name.len()
                && place
                    .name(self.text(line.text))
                    .eq_ignore_ascii_case(name.as_bytes())
        })
    }

    /// Whether a line was removed.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(Field<'_>) -> bool) -> bool {
        let before = self.lines.len();
        let (received, added) = (&*self.received, &*self.added);
        self.lines.retain(|line| {
            let text = match line.text {
                Text::Received => received,
                Text::Added => added,
            };
            keep(line.field(text))
        });
        self.lines.len() < before
    }

    /// Lines that stand behind one another in their text leave it in one piece.
    #[inline]
    pub(super) fn write(&self, out: &mut BytesMut, leaves_out: impl Fn(Role) -> bool) {
        let mut run = Run::default();
        for line in &self.lines {
            if leaves_out(line.role) {
                continue;
            }
            if line.place.spelling == Spelling::Loose {
                run.write(self, out);
                run = Run::default();
                let text = self.text(line.text);
                write_line(out, line.place.name(text), line.place.value(text));
            } else if !run.takes(line) {
                run.write(self, out);
                run = Run::of(line);
            }
        }
        run.write(self, out);
    }

    /// Every line stands in one of the texts, where it takes up no less than it will.
    pub(super) fn written_length_max(&self) -> usize {
        // But for a missing space before a value.
        self.received.len() + self.added.len() + self.lines.len()
    }

    /// Empties it; what it held of memory stays.
    pub(super) fn clear(&mut self) {
        self.received = Bytes::new();
        self.added.clear();
        self.lines.clear();
        self.roles = Roles::default();
    }

    /// The bytes of memory it keeps for later.
    pub(super) fn kept_bytes(&self) -> usize {
        self.added.capacity() + self.lines.capacity() * size_of::<Line>()
    }

    /// Makes this a copy of `other`, in its own memory.
    pub(super) fn clone_from(&mut self, other: &Self) {
        self.received.clone_from(&other.received);
        self.added.clone_from(&other.added);
        self.lines.clone_from(&other.lines);
        self.roles = other.roles;
    }

    /// The bytes of a value, shared where that is possible.
    pub(super) fn values(&self) -> impl Iterator<Item = (&[u8], Bytes)> {
        self.lines.iter().map(|line| {
            let (text, place) = (self.text(line.text), &line.place);
            let value = match line.text {
                Text::Received => self.received.slice(place.value_start..place.value_end),
                Text::Added => Bytes::copy_from_slice(place.value(text)),
            };
            (place.name(text), value)
        })
    }

    #[inline]
    fn text(&self, text: Text) -> &[u8] {
        match text {
            Text::Received => &self.received,
            Text::Added => &self.added,
        }
    }
}

impl Line {
    #[inline]
    fn field<'a>(&self, text: &'a [u8]) -> Field<'a> {
        Field::new(self.place.name(text), self.place.value(text), self.role)
    }
}

impl Place {
    #[inline]
    fn name<'a>(&self, text: &'a [u8]) -> &'a [u8] {
        text.get(self.start..self.name_end).unwrap_or_default()
    }

    #[inline]
    fn value<'a>(&self, text: &'a [u8]) -> &'a [u8] {
        text.get(self.value_start..self.value_end)
            .unwrap_or_default()
    }
}

/// Lines that stand behind one another.
struct Run {
    text: Text,
    start: usize,
    end: usize,
}

impl Default for Run {
    fn default() -> Self {
        Self {
            text: Text::Added,
            start: 0,
            end: 0,
        }
    }
}

impl Run {
    const fn of(line: &Line) -> Self {
        Self {
            text: line.text,
            start: line.place.start,
            end: line.place.value_end + LINE_END.len(),
        }
    }

    /// Takes `line` in if it is the next.
    #[inline]
    fn takes(&mut self, line: &Line) -> bool {
        let is_next = self.text == line.text && self.end == line.place.start;
        if is_next {
            self.end = line.place.value_end + LINE_END.len();
        }
        is_next
    }

    #[inline]
    fn write(&self, lines: &Lines, out: &mut BytesMut) {
        let text = lines.text(self.text);
        out.extend_from_slice(text.get(self.start..self.end).unwrap_or_default());
    }
}

fn write_line(out: &mut BytesMut, name: &[u8], value: &[u8]) {
    for part in [name, SEPARATOR, value, LINE_END] {
        out.extend_from_slice(part);
    }
}
