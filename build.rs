//! Builds the files under `schemas/` into the program, so that one more attribute or extension is a JSON file and no
//! Rust. Writes three constants: the schemas, the resource types, and the common attributes.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=schemas");
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default()).join("schemas");
    let mut code = String::new();
    list(&mut code, "SCHEMA_FILES", &root)?;
    list(&mut code, "RESOURCE_TYPE_FILES", &root.join("resource-types"))?;
    let common = root.join("common").join("common.json");
    let common = common.display().to_string();
    writeln!(code, "const COMMON_FILE: &str = include_str!({common:?});")
        .map_err(io::Error::other)?;
    fs::write(
        PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join("embedded_schemas.rs"),
        code,
    )
}

/// Writes `const NAME: &[&str]` with every `.json` file directly in `folder`, sorted by name.
fn list(code: &mut String, name: &str, folder: &Path) -> io::Result<()> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            files.push(path);
        }
    }
    files.sort();
    writeln!(code, "const {name}: &[&str] = &[").map_err(io::Error::other)?;
    for file in files {
        let file = file.display().to_string();
        writeln!(code, "    include_str!({file:?}),").map_err(io::Error::other)?;
    }
    writeln!(code, "];").map_err(io::Error::other)
}
