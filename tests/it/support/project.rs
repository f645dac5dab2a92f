//! The files of the project, and the programs that check them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Returns the path of a file of the project.
pub(crate) fn project_path(relative: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(relative)
}

/// Returns the text of a file of the project.
pub(crate) fn read(relative: &str) -> String {
    let path = project_path(relative);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Returns all Rust files below a folder of the project, as paths from its top, in order.
pub(crate) fn rust_files(folder: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(project_path(&folder)).unwrap() {
            let entry = entry.unwrap();
            let path = format!("{folder}/{}", entry.file_name().to_str().unwrap());
            if entry.file_type().unwrap().is_dir() {
                folders.push(path);
            } else if Path::new(&path).extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// Returns whether a test that needs an outside component (Kafka, Prometheus, a mail server) is to
/// run. `SATPAM_TEST_QUICK=1` leaves them out, for local work; the full run never does.
#[expect(clippy::disallowed_methods, reason = "a switch of the test run, not a setting of satpam")]
pub(crate) fn needs_outside_component() -> bool {
    std::env::var("SATPAM_TEST_QUICK").as_deref() != Ok("1")
}

/// Runs a program at the top of the project and returns all it printed; fails where it fails, and
/// where it is missing.
pub(crate) fn run_tool(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(project_path("."))
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}; ./run setup --tests installs it"));
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {}\n{text}", output.status);
    text
}
