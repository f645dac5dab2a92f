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
    use crate::rulebook;

    #[test]
    fn the_binary_carries_the_rules_of_the_repository() {
        let folder = tempfile::tempdir().unwrap();
        let copy = folder.path().join("rules");
        super::write(&copy).unwrap();
        let carried = rulebook::load(&copy).unwrap().rulebook;
        let source = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("rules");
        let shipped = rulebook::load(&source).unwrap().rulebook;
        assert_eq!(carried.revision, shipped.revision);
        assert!(!carried.detections.is_empty());
    }
}
