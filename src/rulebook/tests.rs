//! Whole rule sets through [`super::compile`].
use std::path::Path;
#[test]
fn adhoc_corpus() {
    match super::load(Path::new("/tmp/sigmahq")) {
        Ok(loaded) => {
            println!("ok {} atoms {} warnings {}", loaded.rulebook.detections.len(), loaded.rulebook.atoms.len(), loaded.warnings.len());
            for w in loaded.warnings.iter().take(40) { println!("{w}"); }
        }
        Err(super::LoadFailure::Invalid(list)) => {
            for w in list.iter().filter(|w| w.severity == super::Severity::Error).take(30) { println!("{}", w.render(super::Colour::Never)); }
            panic!("{}", list.len());
        }
        Err(other) => panic!("{other}"),
    }
}
