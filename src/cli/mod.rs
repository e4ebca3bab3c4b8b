//! The command line: `scimctl`. Reads arguments, calls `local`, `admin` and the store's check, and writes for people or,
//! with `--format json`, one line for scripts.
//!
//! What a command has to say goes to standard output, everything else to standard error. It reads the clock, the
//! environment and randomness only through [`Host`], which the bin hands it. A token is written once, by the command that
//! issues it, and nowhere else.

mod args;
mod brake;
mod changes;
mod check;
mod cost;
mod demo;
mod docs;
mod export;
mod feed_args;
mod health;
mod import;
mod insight_args;
mod journal;
mod lag;
mod load;
mod log;
mod migrate;
mod output;
mod portal;
mod probe;
mod resync;
mod saml;
mod scale;
mod schema;
mod serve;
mod simulate;
mod site;
mod tenant;
mod token;
mod watch;
mod why;

use std::ffi::OsString;
use std::fmt;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser as _;
use clap::error::ErrorKind;

use self::args::{Arguments, Command, ServeArguments};
use self::output::{CliError, Output};
use crate::moment::Moment;
use crate::system::Moments;

/// The exit code of a command that was not understood, as other command-line tools have it.
const NOT_UNDERSTOOD: u8 = 2;

/// What the machine gives to the commands.
pub struct Host {
    /// Time and chance.
    pub moments: Moments,
    /// A variable of the environment.
    pub variable: fn(&str) -> Option<String>,
    /// The file of the program that runs.
    pub executable: Option<PathBuf>,
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host").finish_non_exhaustive()
    }
}

impl Host {
    /// A moment for one step of a command.
    fn moment(&self) -> Moment {
        self.moments.unnamed()
    }

    /// A variable that is set to something.
    fn variable(&self, name: &str) -> Option<String> {
        (self.variable)(name).filter(|value| !value.trim().is_empty())
    }

    /// How the program is called in a command that a person pastes.
    fn program(&self) -> String {
        let path = self.variable("PATH").unwrap_or_default();
        program(self.executable.as_deref(), &path)
    }
}

/// What the program is called by; `path` is the list of directories in which a shell looks for programs.
///
/// `cargo run` makes a file that no shell finds by its name, and who has started it so expects to start it so again.
fn program(executable: Option<&Path>, path: &str) -> String {
    let by_name = || "scimctl".to_owned();
    let Some((file, directory)) = executable.and_then(|file| Some((file, file.parent()?))) else {
        return by_name();
    };
    if directory.ends_with("target/debug") {
        return "cargo run --".to_owned();
    }
    let separator = if cfg!(windows) { ';' } else { ':' };
    if path.split(separator).any(|found| Path::new(found) == directory) {
        return by_name();
    }
    let file = file.display().to_string();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/\\:._-+".contains(c);
    if file.chars().all(is_plain) { file } else { format!("'{}'", file.replace('\'', "'\\''")) }
}

/// Runs the command that `arguments` (the program's name first) ask for.
pub async fn run(arguments: impl IntoIterator<Item = OsString>, host: &Host) -> ExitCode {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => return not_understood(&error),
    };
    let mut out = Output::new(arguments.format);
    match dispatch(arguments, host, &mut out).await {
        Ok(code) => code,
        Err(error) => {
            if let Some(text) = error.text() {
                complain(&format!("error: {text}"));
            }
            error.code()
        }
    }
}

async fn dispatch(
    arguments: Arguments,
    host: &Host,
    out: &mut Output,
) -> Result<ExitCode, CliError> {
    match arguments.command {
        None => serve::run(ServeArguments::default(), host, out).await,
        Some(Command::Serve(serve)) => serve::run(serve, host, out).await,
        Some(Command::Demo(demo)) => demo::run(&demo, host, out).await,
        Some(Command::Tenant(tenant)) => tenant::run(tenant, host, out).await,
        Some(Command::Token(token)) => token::run(token, host, out).await,
        Some(Command::Portal(portal)) => portal::run(portal, host, out).await,
        Some(Command::Brake(brake)) => brake::run(brake, host, out).await,
        Some(Command::Check(check)) => check::run(check, host, out).await,
        Some(Command::Migrate(migrate)) => migrate::run(migrate, host, out).await,
        Some(Command::Resync(resync)) => resync::run(resync, host, out).await,
        Some(Command::Log(log)) => log::run(log, host, out).await,
        Some(Command::Why(why)) => why::run(&why, host, out).await,
        Some(Command::Health(health)) => health::run(&health, host, out).await,
        Some(Command::Watch(watch)) => watch::run(watch, host, out).await,
        Some(Command::Changes(changes)) => changes::run(changes, host, out).await,
        Some(Command::Journal(journal)) => journal::run(journal, host, out).await,
        Some(Command::Import(import)) => import::run(import, host, out).await,
        Some(Command::Export(export)) => export::run(export, host, out).await,
        Some(Command::Schema(schema)) => schema::run(&schema, out),
        Some(Command::Docs(docs)) => docs::run(&docs, out),
        Some(Command::Cost(cost)) => cost::run(&cost, out),
        Some(Command::Simulate(simulate)) => simulate::run(*simulate, host, out).await,
        Some(Command::Load(load)) => load::run(load, host, out).await,
    }
}

/// Help and the version go to standard output; a mistake is one line.
fn not_understood(error: &clap::Error) -> ExitCode {
    let kind = error.kind();
    if kind == ErrorKind::DisplayHelp || kind == ErrorKind::DisplayVersion {
        // Nobody is left to be told that nobody reads it.
        drop(write!(io::stdout(), "{error}"));
        return ExitCode::SUCCESS;
    }
    if kind == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        complain(&error.to_string());
    } else {
        complain(&on_one_line(&error.to_string()));
    }
    ExitCode::from(NOT_UNDERSTOOD)
}

/// The first paragraph of clap's message and its tips; the usage is what `--help` is for.
fn on_one_line(message: &str) -> String {
    let paragraphs = message.split("\n\n").map(|text| {
        text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
    });
    let mut kept = Vec::new();
    for (index, text) in paragraphs.enumerate() {
        if index == 0 || text.starts_with("tip:") {
            kept.push(text);
        }
    }
    format!("{} (see --help)", kept.join("; "))
}

/// Writes to standard error. When that is closed, nobody wants to know.
fn complain(text: &str) {
    drop(writeln!(io::stderr(), "{}", text.trim_end()));
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    fn refused(arguments: &[&str]) -> String {
        let arguments = std::iter::once("scimctl").chain(arguments.iter().copied());
        on_one_line(&Arguments::try_parse_from(arguments).unwrap_err().to_string())
    }

    #[test]
    fn a_printed_command_calls_the_program_as_a_shell_finds_it() {
        let program = |file: &str| program(Some(Path::new(file)), "/usr/bin:/opt/tools/bin");
        assert_eq!(program("/srv/scim/target/debug/scimctl"), "cargo run --");
        assert_eq!(program("/opt/tools/bin/scimctl"), "scimctl");
        for file in ["/srv/scim/target/release/scimctl", "/opt/tools/scimctl", "/debug/scimctl"] {
            assert_eq!(program(file), file);
        }
        assert_eq!(program("/srv/a b/it's/scimctl"), r"'/srv/a b/it'\''s/scimctl'");
        assert_eq!(super::program(None, ""), "scimctl");
    }

    #[test]
    fn the_arguments_are_sound() {
        use clap::CommandFactory as _;
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_mistake_is_one_line() {
        expect!["error: invalid value 'Acme' for '<TENANT>': a tenant's name is 1 to 63 characters: lower-case letters, digits and hyphens, not beginning with a hyphen (see --help)"].assert_eq(&refused(&["tenant", "show", "Acme"]));
        expect!["error: the following required arguments were not provided: <TENANT> (see --help)"]
            .assert_eq(&refused(&["tenant", "show"]));
        expect!["error: unrecognized subcommand 'tenat'; tip: some similar subcommands exist: 'health', 'tenant' (see --help)"].assert_eq(&refused(&["tenat"]));
        expect!["error: invalid value '3' for '--rate <N>': 0 or at least 50: identity providers need 25 requests a second (see --help)"].assert_eq(&refused(&["serve", "--rate", "3"]));
        expect!["error: invalid value '0' for '--days <N>': 0 is not in 1..=3650 (see --help)"]
            .assert_eq(&refused(&["token", "issue", "acme", "--days", "0"]));
    }
}
