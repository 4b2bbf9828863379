//! `[commands.NAME]`: programs of others that run beside the servers.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::found::{Found, all};
use super::scalars::Zero;
use super::section::Section;
use super::{Place, Secret, site_name};

/// One program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// Its name in the settings and in logs.
    pub name: String,
    /// Where it is defined.
    pub place: Place,
    /// The program: a path, or a name without `/` to be looked for in `PATH`.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Variables added to those of this process. Programs are told passwords this way.
    pub environment: BTreeMap<String, Secret>,
    /// Where it runs.
    pub directory: Option<PathBuf>,
    /// Whether it is started again when it ends.
    pub restart: CommandRestart,
    /// From SIGTERM until SIGKILL.
    pub stop_timeout: Duration,
}

/// Whether a program is started again when it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommandRestart {
    /// It is not.
    Never,
    /// If it failed.
    OnFailure,
    /// Whether it failed or not.
    Always,
}

pub(super) fn read_commands(found: &Found<'_>) -> Option<BTreeMap<String, Command>> {
    let entries = found.site_entries("tables such as [commands.exporter]")?;
    let commands = all(entries.into_iter().map(|(name, span, found)| {
        let place = found.findings().place(found.span().start);
        let name = site_name(&found, name, span);
        let command = found.section(|section| Command::read(section, place));
        let (name, mut command) = (name?, command?);
        command.name.clone_from(&name);
        Some((name, command))
    }))?;
    Some(commands.into_iter().collect())
}

impl Command {
    fn read(section: &mut Section<'_>, place: Place) -> Option<Self> {
        section.about("A program that runs beside the servers; its output is logged.");
        let expected = "a program such as \"/usr/bin/exporter\"";
        let program = section.read("program", expected, |found| {
            match passable(found, found.text(expected)?)? {
                "" => found.refuse("the program is empty", expected),
                path if path.contains('/') => Some(found.findings().resolve(path)),
                name => Some(PathBuf::from(name)),
            }
        });
        let about = "The program: a path, or a name without a slash to be looked for in `PATH`.";
        let program = program.about(about).required();
        let expected = "an array of strings";
        let arguments = section.read("arguments", expected, |found| {
            let items = found.items(expected)?;
            all(items
                .iter()
                .map(|item| Some(passable(item, item.text("a string")?)?.to_owned())))
        });
        let arguments = arguments.about("Its arguments.").or(Vec::new());
        let expected = "a table of strings, such as { LANG = \"C\" }";
        let environment = section.read("environment", expected, |found| {
            let entries = found.entries(expected)?;
            let pairs = all(entries.into_iter().map(|(name, _, found)| {
                if name.is_empty() || name.contains(['=', '\0']) {
                    return found.refuse("this is no name of a variable", "a name such as LANG");
                }
                let value = passable(&found, found.text("a string")?)?;
                Some((name.to_owned(), Secret::new(value)))
            }))?;
            Some(pairs.into_iter().collect())
        });
        let about = "Variables added to those of this process; their values are not shown.";
        let environment = environment.about(about).or(BTreeMap::new());
        let expected = "a directory";
        let directory = section.read("directory", expected, |found| {
            match passable(found, found.text(expected)?)? {
                "" => found.refuse("the path is empty", expected),
                path => Some(found.findings().resolve(path)),
            }
        });
        let directory = directory.about("Where it runs; where this process does, without it.");
        let directory = directory.optional();
        let restarts = [
            ("never", CommandRestart::Never),
            ("on_failure", CommandRestart::OnFailure),
            ("always", CommandRestart::Always),
        ];
        let restart = section.choice("restart", &restarts);
        let restart = restart.about("Whether it is started again when it ends.");
        let restart = restart.or(CommandRestart::OnFailure);
        let stop_timeout = section.duration("stop_timeout", Zero::Allowed);
        let stop_timeout = stop_timeout.about("From SIGTERM until SIGKILL.");
        Some(Self {
            name: String::new(),
            place,
            stop_timeout: stop_timeout.or(Duration::from_secs(10)),
            program: program?,
            arguments,
            environment,
            directory: directory?,
            restart,
        })
    }
}

/// What a program can be handed: its own strings end at a zero byte.
fn passable<'t>(found: &Found<'_>, text: &'t str) -> Option<&'t str> {
    if text.contains('\0') {
        return found.refuse("there is a zero byte in it", "text without zero bytes");
    }
    Some(text)
}
