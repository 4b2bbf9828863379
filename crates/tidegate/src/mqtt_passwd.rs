//! `tidegate mqtt passwd`: changes a password file.

use std::io::{self, BufRead, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use tidegate_mqtt::access::passwords::edit::{self, Edited};
use tidegate_mqtt::access::passwords::secret::Secret;
use tidegate_mqtt::access::scram::secret::ScramSecret;

/// The longest password, in bytes: as much as CONNECT has room for.
const PASSWORD_BYTES_MAX: usize = 65_535;

/// What `mqtt passwd` has to be told.
#[derive(Debug, Clone, Args)]
pub struct PasswdArgs {
    /// The password file; made if it is not there.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The user whose password is set; it is asked for, or read from standard input.
    #[arg(value_name = "USER")]
    user: String,
    /// Store what SCRAM-SHA-256 needs. Without it a hash by Argon2id is stored; a user may
    /// have both.
    #[arg(long, conflicts_with = "delete")]
    scram: bool,
    /// Take the user out of the file.
    #[arg(long)]
    delete: bool,
}

/// Changes the file. Says what was done on standard output, and why nothing was on
/// standard error.
pub fn passwd(arguments: &PasswdArgs) -> ExitCode {
    let said = match change(arguments) {
        Ok(said) => said,
        Err(error) => {
            let _ = writeln!(io::stderr(), "tidegate mqtt passwd: {error:#}");
            return ExitCode::FAILURE;
        }
    };
    // A reader that went away need not be told.
    let _ = writeln!(io::stdout(), "{said}");
    ExitCode::SUCCESS
}

fn change(arguments: &PasswdArgs) -> anyhow::Result<String> {
    let (path, user) = (arguments.file.as_path(), arguments.user.as_str());
    let about = || path.display().to_string();
    if arguments.delete {
        edit::delete(path, user).with_context(about)?;
        return Ok(format!("{}: {user} deleted", path.display()));
    }
    let password = read_password()?;
    let secret = match arguments.scram {
        true => Secret::Scram(ScramSecret::new(&password)?),
        false => Secret::hash(&password)?,
    };
    let edited = edit::set(path, user, &secret).with_context(about)?;
    Ok(said(path, user, edited))
}

fn said(path: &Path, user: &str, edited: Edited) -> String {
    let done = match edited {
        Edited::Added => "added",
        Edited::Changed => "changed",
    };
    format!("{}: {user} {done}", path.display())
}

/// Asks for it twice at a terminal; takes the first line otherwise.
fn read_password() -> anyhow::Result<Vec<u8>> {
    let password = if io::stdin().is_terminal() {
        let first = prompt("New password: ")?;
        if prompt("Once more: ")? != first {
            bail!("the passwords are not the same");
        }
        first
    } else {
        read_line()?
    };
    match password.len() {
        0 => bail!("there is no password"),
        1..=PASSWORD_BYTES_MAX => Ok(password),
        _ => bail!("the password is longer than {PASSWORD_BYTES_MAX} bytes"),
    }
}

fn prompt(question: &str) -> anyhow::Result<Vec<u8>> {
    let mut terminal = io::stderr();
    write!(terminal, "{question}")?;
    terminal.flush()?;
    let silence = Silence::begin().context("the terminal cannot be kept from showing it")?;
    let line = read_line();
    drop(silence);
    // The end of the line was not shown either.
    writeln!(terminal)?;
    line
}

fn read_line() -> anyhow::Result<Vec<u8>> {
    let mut line = Vec::new();
    let mut limited = io::stdin().lock().take(PASSWORD_BYTES_MAX as u64 + 2);
    limited.read_until(b'\n', &mut line)?;
    let end = line.strip_suffix(b"\n").unwrap_or(&line);
    Ok(end.strip_suffix(b"\r").unwrap_or(end).to_vec())
}

/// A terminal that does not show what is typed, until this is dropped.
struct Silence(Termios);

impl Silence {
    fn begin() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(io::stdin(), OptionalActions::Flush, &silent)?;
        Ok(Self(before))
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        // A terminal that is gone shows nothing.
        let _ = tcsetattr(io::stdin(), OptionalActions::Flush, &self.0);
    }
}
