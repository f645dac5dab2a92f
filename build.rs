//! Puts the shipped rules into the binary, so that the demo works wherever the binary is.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

fn main() -> io::Result<()> {
    let variable = |name: &str| {
        std::env::var_os(name).map(PathBuf::from).ok_or_else(|| io::Error::other(name.to_owned()))
    };
    let rules = variable("CARGO_MANIFEST_DIR")?.join("rules");
    let mut files = Vec::new();
    collect(&rules, &mut files)?;
    files.sort();
    let mut list = String::from("&[\n");
    for file in files {
        let name = file.strip_prefix(&rules).map_err(io::Error::other)?;
        writeln!(list, "    ({:?}, include_str!({:?})),", name.display(), file.display())
            .map_err(io::Error::other)?;
    }
    list.push_str("]\n");
    fs::write(variable("OUT_DIR")?.join("shipped_rules.rs"), list)?;
    // Cargo looks at every file in it, so a rule that is added or removed is noticed too.
    io::Write::write_all(&mut io::stdout(), b"cargo::rerun-if-changed=rules\n")
}

/// Collects what belongs to a rule set: no tests and no pages.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let is_rule = |end: &str| name.ends_with(end) && !name.ends_with(".test.yaml");
        if path.is_dir() {
            collect(&path, files)?;
        } else if is_rule(".yaml") || is_rule(".yml") || is_rule(".txt") {
            files.push(path);
        }
    }
    Ok(())
}
