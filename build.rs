//! Builds the files under `schemas/` into the program, so that one more attribute or extension is a JSON file and no
//! Rust. Writes four constants: the schemas, the resource types, the common attributes, and the files of whoever deploys.
//!
//! The paths in them begin where the package is compiled, not where this ran: two checkouts may share a target directory.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=schemas");
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let mut code = String::new();
    list(&mut code, "SCHEMA_FILES", &root, "schemas")?;
    list(&mut code, "RESOURCE_TYPE_FILES", &root, "schemas/resource-types")?;
    named(&mut code, "CUSTOM_FILES", &root, "schemas/custom")?;
    let common = include("schemas/common/common.json");
    writeln!(code, "const COMMON_FILE: &str = {common};").map_err(io::Error::other)?;
    fs::write(
        PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join("embedded_schemas.rs"),
        code,
    )
}

/// Writes `const NAME: &[&str]` with every `.json` file directly in `folder`, sorted by name.
fn list(code: &mut String, name: &str, root: &Path, folder: &str) -> io::Result<()> {
    writeln!(code, "const {name}: &[&str] = &[").map_err(io::Error::other)?;
    for file in files(root, folder)? {
        writeln!(code, "    {},", include(&file)).map_err(io::Error::other)?;
    }
    writeln!(code, "];").map_err(io::Error::other)
}

/// Writes `const NAME: &[(&str, &str)]` with the path and the text of each of these files, of which there may be none.
fn named(code: &mut String, name: &str, root: &Path, folder: &str) -> io::Result<()> {
    writeln!(code, "const {name}: &[(&str, &str)] = &[").map_err(io::Error::other)?;
    let files = if root.join(folder).is_dir() { files(root, folder)? } else { Vec::new() };
    for file in files {
        writeln!(code, "    ({file:?}, {}),", include(&file)).map_err(io::Error::other)?;
    }
    writeln!(code, "];").map_err(io::Error::other)
}

/// The `.json` files directly in `folder`, sorted by name.
fn files(root: &Path, folder: &str) -> io::Result<Vec<String>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(root.join(folder))? {
        let path = entry?.path();
        let is_json = path.extension().is_some_and(|extension| extension == "json");
        if let Some(name) = path.file_name().filter(|_| is_json) {
            files.push(format!("{folder}/{}", name.display()));
        }
    }
    files.sort();
    Ok(files)
}

/// The expression for a file's text.
fn include(file: &str) -> String {
    let file = format!("/{file}");
    format!("include_str!(concat!(env!(\"CARGO_MANIFEST_DIR\"), {file:?}))")
}
