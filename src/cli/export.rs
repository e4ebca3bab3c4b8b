//! `scimctl export`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::json;

use super::Host;
use super::args::ExportArguments;
use super::output::{CliError, Output, counted};
use super::tenant::bar;
use super::{complain, site};
use crate::admin::AdminError;
use crate::store::TenantId;
use crate::telemetry::Chain;
use crate::transfer::TransferError;
use crate::transfer::export::{Exported, export};

pub(super) async fn run(
    arguments: ExportArguments,
    host: &Host,
    out: &mut Output,
) -> Result<ExitCode, CliError> {
    let ExportArguments { file, tenant, place } = arguments;
    let site = site::open(&place, host).await?;
    let moments = || host.moment();
    let bar = bar(out);
    let mut progress = |done: Exported| bar.set_message(counts(done));
    let mut sink = Sink::open(file)?;
    let exported = tokio::select! {
        exported = export((&site.store, &moments), &tenant, sink.writer(), &mut progress) => exported,
        _ = tokio::signal::ctrl_c() => {
            bar.finish_and_clear();
            sink.give_up();
            return Err(CliError::Interrupted("stopped; there is no export".to_owned()));
        }
    };
    bar.finish_and_clear();
    match exported.map_err(failed).and_then(|done| sink.finish().map(|()| done)) {
        Ok(done) => told(&sink, &tenant, done, out)?,
        Err(error) => {
            sink.give_up();
            return Err(error);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn counts(done: Exported) -> String {
    let others = match done.others {
        0 => String::new(),
        others => {
            format!(", {}", counted(others, "resource of another type", "resources of other types"))
        }
    };
    format!(
        "{}, {}, {}{others}",
        counted(done.users, "person", "people"),
        counted(done.groups, "group", "groups"),
        counted(done.memberships, "membership", "memberships")
    )
}

fn told(sink: &Sink, tenant: &TenantId, done: Exported, out: &mut Output) -> Result<(), CliError> {
    let text = |place: &str| format!("{tenant}: {} {place}.", counts(done));
    match sink {
        // Standard output is the export.
        Sink::Standard(_) => {
            complain(&text("written"));
            Ok(())
        }
        Sink::File { path, .. } => out.write(
            || text(&format!("in {}", path.display())),
            || {
                json!({
                    "tenant": tenant.as_str(),
                    "file": path.display().to_string(),
                    "users": done.users,
                    "groups": done.groups,
                    "memberships": done.memberships,
                    "others": done.others,
                })
            },
        ),
    }
}

fn failed(error: TransferError) -> CliError {
    match error {
        TransferError::NoTenant(tenant) => AdminError::NoTenant(tenant).into(),
        TransferError::BeingDeleted(tenant) => AdminError::BeingDeleted(tenant).into(),
        TransferError::Output(error) => error.into(),
        TransferError::LeftOut(..) => {
            CliError::new(format!("{}; there is no export", Chain(&error)))
        }
        TransferError::Faults(_) | TransferError::Changed(_) | TransferError::Store(_) => {
            CliError::new(format!(
                "{}; there is no export, run the same command again",
                Chain(&error)
            ))
        }
    }
}

/// Where an export goes: a file comes into being whole, under another name until then.
enum Sink {
    Standard(BufWriter<io::Stdout>),
    File { part: PathBuf, path: PathBuf, writer: BufWriter<File> },
}

impl Sink {
    fn open(path: Option<PathBuf>) -> Result<Self, CliError> {
        let Some(path) = path else { return Ok(Self::Standard(BufWriter::new(io::stdout()))) };
        let mut name = path.as_os_str().to_owned();
        name.push(".part");
        let part = PathBuf::from(name);
        let file = private(&part).map_err(|error| cannot(&part, "be created", &error))?;
        Ok(Self::File { part, path, writer: BufWriter::new(file) })
    }

    fn writer(&mut self) -> &mut dyn Write {
        match self {
            Self::Standard(out) => out,
            Self::File { writer, .. } => writer,
        }
    }

    fn finish(&mut self) -> Result<(), CliError> {
        let Self::File { part, path, writer } = self else { return Ok(()) };
        let written = writer.flush().and_then(|()| writer.get_ref().sync_all());
        written.map_err(|error| cannot(part, "be written", &error))?;
        fs::rename(&*part, &*path).map_err(|error| cannot(path, "be written", &error))
    }

    /// Leaves nothing that looks like an export.
    fn give_up(&self) {
        if let Self::File { part, .. } = self {
            // What cannot be removed has no last line, and import refuses it.
            drop(fs::remove_file(part));
        }
    }
}

/// A new file that only its owner reads: it is full of personal data. What an earlier run has left, with whatever rights, goes.
fn private(path: &Path) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn cannot(path: &Path, what: &str, error: &io::Error) -> CliError {
    CliError::new(format!("{} cannot {what}: {error}", path.display()))
}
