//! What is built in: licences, sources, duplicate versions, and a reason for each.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{Metadata, MetadataCommand};

use crate::support::{project_path, read};

/// Licences that a binary under Apache-2.0 may contain.
const LICENCES: [&str; 12] = [
    "MIT",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "0BSD",
    "BSL-1.0",
    "CC0-1.0",
    "Unlicense",
    "Zlib",
    "Unicode-3.0",
];

/// Crates that are built in two versions, with the reason and when it was last looked at.
const TWICE: [(&str, &str); 7] = [
    ("parking_lot", "2026-11: sled 0.34.7 is pinned and asks for 0.11"),
    ("parking_lot_core", "2026-11: with parking_lot"),
    ("rustix", "2026-11: procfs 0.17, of the process metrics, asks for 0.38"),
    ("linux-raw-sys", "2026-11: with rustix"),
    ("embedded-io", "2026-11: postcard 1.1 itself asks for both"),
    ("getrandom", "2026-11: ring 0.17 asks for 0.2, the random numbers of tests for 0.4"),
    ("syn", "2026-11: derive macros move from 2 to 3 one by one; nothing of it is in the binary"),
];

fn metadata() -> Metadata {
    MetadataCommand::new()
        .manifest_path(project_path("Cargo.toml"))
        .other_options(
            ["--locked", "--filter-platform", "x86_64-unknown-linux-gnu"].map(str::to_owned),
        )
        .exec()
        .unwrap()
}

/// Returns whether an SPDX expression (also with the old `/`) can be met by allowed licences.
/// Precedence as in SPDX: AND binds tighter than OR.
fn is_allowed(expression: &str) -> bool {
    let text = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut at = 0;
    let allowed = any_of(&words, &mut at);
    assert_eq!(at, words.len(), "not an SPDX expression: {expression}");
    allowed
}

fn any_of(words: &[&str], at: &mut usize) -> bool {
    let mut allowed = all_of(words, at);
    while words.get(*at) == Some(&"OR") {
        *at += 1;
        allowed |= all_of(words, at);
    }
    allowed
}

fn all_of(words: &[&str], at: &mut usize) -> bool {
    let mut allowed = one(words, at);
    while words.get(*at) == Some(&"AND") {
        *at += 1;
        allowed &= one(words, at);
    }
    allowed
}

fn one(words: &[&str], at: &mut usize) -> bool {
    if words[*at] == "(" {
        *at += 1;
        let allowed = any_of(words, at);
        assert_eq!(words[*at], ")");
        *at += 1;
        return allowed;
    }
    let mut licence = words[*at].to_owned();
    *at += 1;
    if words.get(*at) == Some(&"WITH") {
        licence = format!("{licence} WITH {}", words[*at + 1]);
        *at += 2;
    }
    LICENCES.contains(&licence.as_str())
}

#[test]
fn licence_expressions_are_read_with_their_precedence() {
    for (expression, allowed) in [
        ("MIT", true),
        ("MIT/Apache-2.0", true),
        ("GPL-3.0", false),
        ("GPL-3.0 OR MIT", true),
        ("GPL-3.0 AND MIT", false),
        ("MIT OR GPL-3.0 AND ISC", true),
        ("(MIT OR GPL-3.0) AND Unicode-3.0", true),
        ("Apache-2.0 WITH LLVM-exception", true),
    ] {
        assert_eq!(is_allowed(expression), allowed, "{expression}");
    }
}

#[test]
fn every_dependency_has_a_licence_that_we_may_ship() {
    let wrong: Vec<String> = metadata()
        .packages
        .iter()
        .filter(|package| !package.license.as_deref().is_some_and(is_allowed))
        .map(|package| format!("{} {}: {:?}", package.name, package.version, package.license))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_dependency_comes_from_the_registry() {
    for package in metadata().packages.iter().filter(|package| package.name.as_str() != "satpam") {
        let source = package.source.as_ref().map(ToString::to_string).unwrap_or_default();
        assert!(source.starts_with("registry+"), "{} comes from `{source}`", package.name);
    }
}

#[test]
fn no_crate_is_built_twice_without_a_reason() {
    let mut versions: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for package in metadata().packages {
        versions.entry(package.name.to_string()).or_default().insert(package.version.to_string());
    }
    versions.retain(|_, versions| versions.len() > 1);
    let reasons: BTreeMap<&str, &str> = TWICE.into_iter().collect();
    for (name, versions) in &versions {
        assert!(reasons.contains_key(name.as_str()), "{name} is built as {versions:?}");
    }
    for name in reasons.keys() {
        assert!(versions.contains_key(*name), "{name} is built once: remove its reason");
    }
}

#[test]
fn every_dependency_in_the_manifest_says_why_it_is_there() {
    let manifest = read("Cargo.toml");
    let mut in_dependencies = false;
    for line in manifest.lines() {
        if let Some(section) = line.strip_prefix('[') {
            in_dependencies = section.contains("dependencies");
        } else if in_dependencies && line.contains(" = ") {
            let reason = line.split_once(" # ").map(|(_, reason)| reason.trim());
            assert!(reason.is_some_and(|reason| !reason.is_empty()), "no reason: {line}");
        }
    }
}
