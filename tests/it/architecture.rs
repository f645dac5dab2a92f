//! Who may name whom: the import table of docs/architecture.md, read from the source.

use std::collections::BTreeSet;

use syn::visit::{self, Visit};

use crate::support::{read, rust_files};

/// For each module, the modules of ours that it may name. What wires (config, daemon, demo, cli)
/// may name all.
const MAY_NAME: [(&str, &[&str]); 12] = [
    ("clock", &[]),
    ("secret", &[]),
    ("event", &[]),
    ("telemetry", &["event"]),
    ("rulebook", &["event"]),
    ("baseline", &["event"]),
    ("detect", &["event", "rulebook", "baseline"]),
    ("incident", &["event", "rulebook", "detect"]),
    ("store", &["clock", "event", "baseline", "incident", "telemetry"]),
    ("engine", &["event", "rulebook", "baseline", "detect", "incident", "store", "telemetry"]),
    ("ingest", &["clock", "event", "secret", "telemetry"]),
    ("respond", &["clock", "event", "secret", "rulebook", "incident", "store", "telemetry"]),
];
const REPLAY: (&str, &[&str]) =
    ("replay", &["clock", "event", "rulebook", "incident", "store", "engine"]);
const WIRING: [&str; 4] = ["config", "daemon", "demo", "cli"];

/// Outside crates, and the only modules that may touch them.
const ONLY_IN: [(&str, &[&str]); 15] = [
    ("rdkafka", &["ingest", "demo"]),
    ("sled", &["store"]),
    ("crossbeam_epoch", &["store"]),
    ("lettre", &["respond"]),
    ("reqwest", &["respond"]),
    ("minijinja", &["respond"]),
    ("axum", &["telemetry", "daemon", "demo"]),
    ("sd_notify", &["telemetry"]),
    ("tracing_subscriber", &["telemetry"]),
    ("serde_saphyr", &["rulebook", "config", "cli"]),
    ("annotate_snippets", &["rulebook", "config"]),
    ("regex", &["rulebook", "detect"]),
    ("aho_corasick", &["detect"]),
    ("clap", &["cli"]),
    // Nothing between a batch and its commit can wait.
    ("tokio", &["ingest", "respond", "telemetry", "daemon", "demo", "cli"]),
];

/// Modules whose answer depends on nothing but what they are given.
const PURE: [&str; 5] = ["event", "rulebook", "baseline", "detect", "incident"];
/// The files of pure modules that read the disk.
const PURE_BUT: [&str; 1] = ["src/rulebook/load.rs"];

/// Every path that a file names outside of its tests: `use` and in place.
#[derive(Default)]
struct Paths(BTreeSet<Vec<String>>);

impl Paths {
    fn of(file: &str) -> BTreeSet<Vec<String>> {
        let syntax = syn::parse_file(&read(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        let mut paths = Self::default();
        paths.visit_file(&syntax);
        paths.0
    }

    fn use_tree(&mut self, prefix: &[String], tree: &syn::UseTree) {
        let with = |name: &syn::Ident| {
            let mut path = prefix.to_vec();
            path.push(name.to_string());
            path
        };
        match tree {
            syn::UseTree::Path(path) => self.use_tree(&with(&path.ident), &path.tree),
            syn::UseTree::Name(name) => {
                self.0.insert(with(&name.ident));
            }
            syn::UseTree::Rename(rename) => {
                self.0.insert(with(&rename.ident));
            }
            syn::UseTree::Glob(_) => {
                self.0.insert(prefix.to_vec());
            }
            syn::UseTree::Group(group) => {
                for tree in &group.items {
                    self.use_tree(prefix, tree);
                }
            }
        }
    }
}

fn is_for_tests(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.parse_args::<syn::Ident>().is_ok_and(|argument| argument == "test")
    })
}

impl<'ast> Visit<'ast> for Paths {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if !is_for_tests(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        if !is_for_tests(&item.attrs) {
            self.use_tree(&[], &item.tree);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.0.insert(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        visit::visit_path(self, path);
    }
}

/// The files of the library with the module of each, without lib.rs, main.rs and files of tests.
fn sources() -> Vec<(String, String)> {
    rust_files("src")
        .into_iter()
        .filter_map(|file| {
            let inside = file.strip_prefix("src/").unwrap();
            if ["lib.rs", "main.rs"].contains(&inside)
                || inside.ends_with("/tests.rs")
                || inside.contains("/tests/")
            {
                return None;
            }
            let module = inside.split('/').next().unwrap().trim_end_matches(".rs").to_owned();
            Some((file, module))
        })
        .collect()
}

/// Returns what a path names of ours: `crate::event::X` names `event`.
fn own_module(path: &[String]) -> Option<&str> {
    match path {
        [first, module, ..] if first == "crate" || first == "satpam" => Some(module),
        [_, ..] | [] => None,
    }
}

#[test]
fn a_module_names_only_the_modules_above_it() {
    let mut wrong = Vec::new();
    for (file, module) in sources() {
        if WIRING.contains(&module.as_str()) {
            continue;
        }
        let (_, allowed) =
            MAY_NAME.iter().chain([&REPLAY]).find(|(name, _)| *name == module).unwrap_or_else(
                || panic!("{file}: the module {module} is not in the import table"),
            );
        for path in Paths::of(&file) {
            let Some(named) = own_module(&path) else { continue };
            if named != module && !allowed.contains(&named) {
                wrong.push(format!("{file} names {named}: {}", path.join("::")));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn an_outside_crate_is_touched_only_where_its_module_is() {
    let mut wrong = Vec::new();
    for (file, module) in sources() {
        for path in Paths::of(&file) {
            let Some(first) = path.first() else { continue };
            for (name, modules) in ONLY_IN {
                if first == name && path.len() > 1 && !modules.contains(&module.as_str()) {
                    wrong.push(format!("{file} touches {name}: {}", path.join("::")));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn nothing_but_the_clock_reads_the_clock() {
    let mut wrong = Vec::new();
    for (file, _) in sources() {
        if file == "src/clock.rs" {
            continue;
        }
        for path in Paths::of(&file) {
            let reads = match path.as_slice() {
                [.., name, method] => {
                    method == "now"
                        && ["SystemTime", "Timestamp", "ZonedDateTime"].contains(&name.as_str())
                }
                [..] => false,
            };
            if reads {
                wrong.push(format!("{file}: {}", path.join("::")));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn pure_modules_know_no_time_files_network_threads_or_metrics() {
    let mut wrong = Vec::new();
    for (file, module) in sources() {
        if !PURE.contains(&module.as_str()) || PURE_BUT.contains(&file.as_str()) {
            continue;
        }
        for path in Paths::of(&file) {
            let impure = match path.as_slice() {
                // An address is a value like any other.
                [.., last] if ["IpAddr", "Ipv4Addr", "Ipv6Addr"].contains(&last.as_str()) => false,
                [first, second, ..] if first == "std" => {
                    ["fs", "net", "thread", "process", "env"].contains(&second.as_str())
                }
                [first, ..] => ["tokio", "tracing", "prometheus"].contains(&first.as_str()),
                [] => false,
            };
            if impure || path.iter().any(|part| part == "Instant") {
                wrong.push(format!("{file}: {}", path.join("::")));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_module_says_what_it_is() {
    let silent: Vec<_> =
        rust_files("src").into_iter().filter(|file| !read(file).starts_with("//! ")).collect();
    assert!(silent.is_empty(), "no `//!` at the top of {silent:?}");
}
