//! Makes the safe changes that findings offer.

use std::collections::BTreeMap;

use crate::rulebook::{Diagnostic, Fix};

/// Writes all safe changes into their files; returns how many were made.
///
/// Of changes that overlap the first is made. A file is replaced by a rename, so a crash leaves the
/// old or the new one.
pub(super) fn apply(findings: &[Diagnostic]) -> Result<usize, String> {
    let mut files: BTreeMap<&str, (&str, Vec<&Fix>)> = BTreeMap::new();
    for finding in findings {
        if let Some(fix) = finding.fix.as_ref().filter(|fix| fix.safe) {
            let text = &*finding.source.text;
            files.entry(finding.file()).or_insert((text, Vec::new())).1.push(fix);
        }
    }
    let mut made = 0;
    for (file, (text, fixes)) in files {
        let (changed, count) = rewritten(text, fixes);
        let temporary = format!("{file}.fix~");
        std::fs::write(&temporary, changed)
            .and_then(|()| {
                std::fs::set_permissions(&temporary, std::fs::metadata(file)?.permissions())
            })
            .and_then(|()| std::fs::rename(&temporary, file))
            .map_err(|error| format!("cannot write {file}: {error}"))?;
        made += count;
    }
    Ok(made)
}

fn rewritten(text: &str, mut fixes: Vec<&Fix>) -> (String, usize) {
    fixes.sort_by_key(|fix| fix.span.start);
    let mut changed = String::with_capacity(text.len());
    let (mut at, mut count) = (0, 0);
    for fix in fixes {
        let Some(between) = text.get(at..fix.span.start) else { continue };
        if text.get(fix.span.start..fix.span.end).is_none() {
            continue;
        }
        changed.push_str(between);
        changed.push_str(&fix.replacement);
        at = fix.span.end;
        count += 1;
    }
    changed.push_str(text.get(at..).unwrap_or_default());
    (changed, count)
}
