//! Any text as a file of rules: it compiles or is refused with findings that can be printed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use satpam::rulebook::{Colour, Sources, compile};

fuzz_target!(|text: &str| {
    let sources = Sources::of_rules([("rule.yaml", text)]);
    match compile(&sources) {
        Ok((rulebook, findings)) => {
            let (again, _) = compile(&sources).expect("the same text compiles again");
            assert_eq!(rulebook.revision, again.revision);
            findings.iter().for_each(|finding| drop(finding.render(Colour::Never)));
        }
        Err(findings) => {
            assert!(!findings.is_empty());
            findings.iter().for_each(|finding| drop(finding.render(Colour::Never)));
        }
    }
});
