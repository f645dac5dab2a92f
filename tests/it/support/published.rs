//! Generated files that are kept in the project.

use std::fs;

use super::project_path;

/// Compares a generated file with the one that is kept; `UPDATE=1` writes it instead.
#[expect(clippy::disallowed_methods, reason = "a switch of the test run, not a setting of satpam")]
pub(crate) fn published(relative: &str, text: &str) {
    let path = project_path(relative);
    if std::env::var("UPDATE").as_deref() == Ok("1") {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        return;
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    let difference = kept.lines().zip(text.lines()).find(|(kept, fresh)| kept != fresh);
    assert!(
        kept == text,
        "{relative} is stale, UPDATE=1 cargo test --test it writes it; first difference: {difference:?}"
    );
}
