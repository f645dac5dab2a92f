//! The rules that the binary carries.

use std::io;
use std::path::Path;

/// Path inside of the rule folder, and text; `build.rs` writes the list.
const SHIPPED: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/shipped_rules.rs"));

/// Writes the shipped rules into a folder that does not exist yet.
pub(super) fn write(folder: &Path) -> io::Result<()> {
    std::fs::create_dir(folder)?;
    for (name, text) in SHIPPED {
        let path = folder.join(name);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(path, text)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::{Path, PathBuf};

    use crate::rulebook;

    /// The files that make up a rule set, by their place in it.
    fn texts(folder: &Path) -> BTreeMap<PathBuf, String> {
        let loaded = rulebook::load(folder).unwrap();
        assert!(!loaded.rulebook.detections.is_empty());
        let text = |path: PathBuf| {
            let text = std::fs::read_to_string(&path).unwrap();
            (path.strip_prefix(folder).unwrap().to_owned(), text)
        };
        loaded.files.into_iter().map(text).collect()
    }

    #[test]
    fn the_binary_carries_the_rules_of_the_repository() {
        let folder = tempfile::tempdir().unwrap();
        let copy = folder.path().join("rules");
        super::write(&copy).unwrap();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules");
        assert_eq!(texts(&copy), texts(&source));
    }
}
