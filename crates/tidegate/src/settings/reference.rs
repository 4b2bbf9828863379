//! The settings as a page of the guide, in Markdown: every key of every table.

use std::fmt::Write;

use super::outline::{Condition, Key, Naming, Presence, Shape, Shapes, Table};
use super::scalars::Zero;

/// How to print the page again.
const COMMAND: &str = "cargo run -- schema --markdown >docs/src/reference.md";

/// The page.
pub fn reference() -> String {
    let mut page = Page::default();
    page.text.push_str("# Every key\n\n");
    let _ = writeln!(page.text, "<!-- Printed by: {COMMAND} -->\n");
    page.text.push_str(INTRODUCTION);
    page.table(&Path::default(), &Table::of_settings());
    page.text.truncate(page.text.trim_end().len());
    page.text.push('\n');
    page.text
}

const INTRODUCTION: &str = "\
This page is printed by the program, from what its readers take: `tidegate schema --markdown`. \
`tidegate schema` prints the same as a JSON Schema, for editors.

A *duration* is a number with `ms`, `s`, `m` or `h`: `\"500ms\"`, `\"10s\"`, `\"2m\"`, `\"1h\"`. A *size* \
is a number of bytes, or one with `B`, `KB`, `MB`, `GB`, `KiB`, `MiB` or `GiB`: `\"32KiB\"`. Neither is \
zero unless it says so. Relative paths start at the directory of the file. *NAME* is a name of yours: \
letters, digits, dashes and underscores. A key without a default may be left out unless it is \
*required*.

";

#[derive(Default)]
struct Page {
    text: String,
}

/// Where a table is.
#[derive(Clone, Default)]
struct Path {
    /// Its dotted path in the file.
    keys: String,
    /// Whether it is one of an array.
    is_item: bool,
    /// What has to hold for it to be there.
    conditions: Vec<String>,
}

impl Path {
    fn child(&self, key: &str) -> Self {
        let keys = match self.keys.as_str() {
            "" => key.to_owned(),
            keys => format!("{keys}.{key}"),
        };
        Self {
            keys,
            is_item: false,
            conditions: self.conditions.clone(),
        }
    }

    fn item(&self) -> Self {
        Self {
            is_item: true,
            ..self.clone()
        }
    }

    fn under(&self, condition: Condition) -> Self {
        let mut path = self.clone();
        path.conditions.push(match condition {
            Condition::Word(key, word) => format!("`{key} = {word:?}`"),
            Condition::Present(key) => format!("with `{key}`"),
            Condition::Absent(key) => format!("without `{key}`"),
        });
        path
    }

    fn heading(&self) -> String {
        let table = match self.is_item {
            true => format!("`[[{}]]`", self.keys),
            false => format!("`[{}]`", self.keys),
        };
        match self.conditions.as_slice() {
            [] => table,
            conditions => format!("{table}, {}", conditions.join(", ")),
        }
    }
}

impl Page {
    /// A heading, the table's keys, and then the tables below it.
    fn table(&mut self, path: &Path, table: &Table) {
        if !path.keys.is_empty() {
            let _ = writeln!(self.text, "## {}\n", path.heading());
        }
        if !path.keys.is_empty() && !table.about.is_empty() {
            let _ = writeln!(self.text, "{}\n", table.about);
        }
        self.keys(&table.keys);
        for key in &table.keys {
            self.below(&path.child(key.name), &key.shapes);
        }
        for variant in &table.variants {
            self.table(&path.under(variant.condition), &variant.table);
        }
    }

    fn below(&mut self, path: &Path, shapes: &Shapes) {
        for shape in shapes.list() {
            match shape {
                Shape::Table(table) => self.table(path, &table),
                Shape::Array(of) => self.below(&path.item(), &of),
                Shape::Names {
                    of,
                    naming: Naming::Site,
                    ..
                } => {
                    self.below(&path.child("NAME"), &of);
                }
                _ => {}
            }
        }
    }

    fn keys(&mut self, keys: &[Key]) {
        if keys.is_empty() {
            return;
        }
        self.text
            .push_str("| key | what may be there | default | |\n|---|---|---|---|\n");
        for key in keys {
            let default = match &key.presence {
                Presence::Required => "*required*".to_owned(),
                Presence::Default(default) => format!("`{default}`"),
                Presence::Optional => String::new(),
            };
            let _ = writeln!(
                self.text,
                "| `{}` | {} | {default} | {} |",
                key.name,
                any_of(&key.shapes),
                key.about
            );
        }
        self.text.push('\n');
    }
}

fn any_of(shapes: &Shapes) -> String {
    let shapes = shapes.list();
    if let [Shape::Array(of), single] = shapes.as_slice()
        && any_of(of) == one(single)
    {
        return format!("{}, or an array of those", one(single));
    }
    let words: Vec<String> = shapes.iter().map(one).collect();
    words.join("; or ")
}

fn one(shape: &Shape) -> String {
    match shape {
        Shape::Text(expected) => expected.clone(),
        Shape::Words(words) => {
            let words: Vec<String> = words.iter().map(|word| format!("`{word:?}`")).collect();
            words.join(", ")
        }
        Shape::Boolean => "`true`, `false`".to_owned(),
        Shape::Integer { low, high } => format!("a whole number from {low} to {high}"),
        Shape::Numbers(numbers) => {
            let words: Vec<String> = numbers.iter().map(|it| format!("`{it}`")).collect();
            words.join(", ")
        }
        Shape::Duration(zero) => with_zero("a duration", *zero),
        Shape::Size(zero) => with_zero("a size", *zero),
        Shape::Array(of) => match of.list().as_slice() {
            [Shape::Table(_)] => "an array of tables".to_owned(),
            _ => format!("an array, each {}", any_of(of)),
        },
        Shape::Names {
            naming, expected, ..
        } => match naming {
            Naming::Site => "tables by name".to_owned(),
            Naming::Free => expected.clone(),
        },
        Shape::Table(_) => "a table".to_owned(),
    }
}

fn with_zero(what: &str, zero: Zero) -> String {
    match zero {
        Zero::Allowed => format!("{what}, or zero"),
        Zero::Refused => what.to_owned(),
    }
}
