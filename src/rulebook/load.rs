//! Reads the files of a rule set: the one place of this module that touches the disk.
//!
//! Bounded: folders 16 levels deep, 20,000 files, 1 MiB a file, 256 MiB in all. Names that start
//! with a dot are left out (among them the folders behind a mounted Kubernetes `ConfigMap`, whose files
//! are reached by their links).

use std::collections::BTreeSet;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::codes::Code;
use super::compile::{Sources, compile};
use super::diagnostic::{Diagnostic, Severity, SourceText, Span};
use super::model::Rulebook;

const MAX_DEPTH: usize = 16;
const MAX_FILES: usize = 20_000;
const MAX_FILE_BYTES: u64 = 1 << 20;
const MAX_TOTAL_BYTES: usize = 256 << 20;

/// A rule set that was read from the disk.
#[derive(Debug)]
pub struct Loaded {
    pub rulebook: Rulebook,
    pub warnings: Vec<Diagnostic>,
    /// Every file that was read.
    pub files: Vec<PathBuf>,
}

/// Why a rule set was not loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadFailure {
    /// Nothing could be checked.
    #[error("cannot read {}", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    /// A bound of this module's documentation is exceeded.
    #[error("{} holds too much: {what}", path.display())]
    TooMuch { path: PathBuf, what: &'static str },
    /// All findings of all files, warnings too, by file and position.
    #[error("the rules have {} error(s), the first: {}", errors(.0), first_error(.0))]
    Invalid(Vec<Diagnostic>),
}

fn errors(findings: &[Diagnostic]) -> usize {
    findings.iter().filter(|finding| finding.severity == Severity::Error).count()
}

fn first_error(findings: &[Diagnostic]) -> String {
    let first = findings.iter().find(|finding| finding.severity == Severity::Error);
    first.map(ToString::to_string).unwrap_or_default()
}

/// Texts of a rule set with the paths they came from.
#[derive(Debug, Default)]
pub struct ReadFiles {
    pub sources: Sources,
    pub files: Vec<PathBuf>,
    /// Files that are not text; they make the rule set unusable.
    pub unreadable: Vec<Diagnostic>,
}

/// Reads and compiles a folder of rules, or a single rule file.
pub fn load(path: &Path) -> Result<Loaded, LoadFailure> {
    load_all(&[path.to_owned()])
}

/// Reads and compiles several folders or files as one rule set.
pub fn load_all(paths: &[PathBuf]) -> Result<Loaded, LoadFailure> {
    let read = read(paths)?;
    if !read.unreadable.is_empty() {
        return Err(LoadFailure::Invalid(read.unreadable));
    }
    let (rulebook, warnings) = compile(&read.sources).map_err(LoadFailure::Invalid)?;
    Ok(Loaded { rulebook, warnings, files: read.files })
}

/// Reads folders and files without compiling them.
///
/// In a folder, `lists/`, `accounts/` and `policy.yaml` have their meaning, `*.test.yaml` are tests
/// and every other `*.yaml` or `*.yml` is a file of rules. A path that is a file is a file of rules.
pub fn read(paths: &[PathBuf]) -> Result<ReadFiles, LoadFailure> {
    Ok(read_paths(paths)?.finish())
}

/// As [`read`], and where the paths lie inside a rule folder (the nearest one above the first path
/// that holds `policy.yaml`) also its policy, lists and accounts: for checking a part of a rule set.
pub fn read_within(paths: &[PathBuf]) -> Result<ReadFiles, LoadFailure> {
    let mut reader = read_paths(paths)?;
    if let Some(path) = paths.first() {
        reader.enclosing(path)?;
    }
    Ok(reader.finish())
}

/// Reads the tests beside the rule files that have some, so that what they name can be checked.
pub fn read_tests(sources: &mut Sources) -> Result<(), LoadFailure> {
    let mut reader = DiskReader { read: ReadFiles::default(), bytes: 0, tested: BTreeSet::new() };
    for name in sources.tested.iter().flatten() {
        reader.file(&Path::new(&**name).with_extension("test.yaml"), Role::Test)?;
    }
    sources.tests = reader.read.sources.tests;
    Ok(())
}

fn read_paths(paths: &[PathBuf]) -> Result<DiskReader, LoadFailure> {
    let mut reader = DiskReader { read: ReadFiles::default(), bytes: 0, tested: BTreeSet::new() };
    for path in paths {
        let metadata = std::fs::metadata(path).map_err(|source| unreadable(path, source))?;
        if metadata.is_dir() {
            reader.folder(path, path, 0)?;
        } else {
            reader.file(path, Role::Rules)?;
            let test = path.with_extension("test.yaml");
            if test.exists() {
                reader.tested.insert(name_of(path));
            }
        }
    }
    Ok(reader)
}

fn unreadable(path: &Path, source: io::Error) -> LoadFailure {
    LoadFailure::Unreadable { path: path.to_owned(), source }
}

fn name_of(path: &Path) -> Arc<str> {
    path.to_string_lossy().into()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Rules,
    List,
    Account,
    Policy,
    Test,
}

struct DiskReader {
    read: ReadFiles,
    bytes: usize,
    tested: BTreeSet<Arc<str>>,
}

impl DiskReader {
    fn finish(mut self) -> ReadFiles {
        self.read.sources.tested = Some(self.tested);
        self.read
    }

    /// Reads the lists, accounts and policy of the rule folder that a file or folder lies in: of the
    /// nearest one above that holds `policy.yaml`.
    fn enclosing(&mut self, path: &Path) -> Result<(), LoadFailure> {
        if self.read.sources.policy.is_some() {
            return Ok(());
        }
        let absolute = std::path::absolute(path).map_err(|source| unreadable(path, source))?;
        let mut above = absolute.ancestors().skip(1).take(MAX_DEPTH);
        let Some(root) = above.find(|folder| folder.join("policy.yaml").is_file()) else {
            return Ok(());
        };
        self.file(&root.join("policy.yaml"), Role::Policy)?;
        self.read.sources.is_part = true;
        for folder in ["lists", "accounts"].map(|name| root.join(name)) {
            if folder.is_dir() {
                self.folder(root, &folder, 1)?;
            }
        }
        Ok(())
    }

    fn folder(&mut self, root: &Path, folder: &Path, depth: usize) -> Result<(), LoadFailure> {
        if depth > MAX_DEPTH {
            return Err(LoadFailure::TooMuch {
                path: folder.to_owned(),
                what: "nested too deeply",
            });
        }
        let entries = std::fs::read_dir(folder).map_err(|source| unreadable(folder, source))?;
        let mut paths = Vec::new();
        for entry in entries {
            paths.push(entry.map_err(|source| unreadable(folder, source))?.path());
        }
        paths.sort();
        for path in &paths {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with('.') {
                continue;
            }
            let metadata = std::fs::metadata(path).map_err(|source| unreadable(path, source))?;
            if metadata.is_dir() {
                self.folder(root, path, depth + 1)?;
            } else if let Some(role) = role(root, path, &name) {
                self.file(path, role)?;
                if paths.contains(&path.with_extension("test.yaml")) {
                    self.tested.insert(name_of(path));
                }
            }
        }
        Ok(())
    }

    fn file(&mut self, path: &Path, role: Role) -> Result<(), LoadFailure> {
        let too_much = |what| LoadFailure::TooMuch { path: path.to_owned(), what };
        if self.read.files.len() >= MAX_FILES {
            return Err(too_much("more than 20,000 files"));
        }
        let file = std::fs::File::open(path).map_err(|source| unreadable(path, source))?;
        let mut bytes = Vec::new();
        file.take(MAX_FILE_BYTES + 1)
            .read_to_end(&mut bytes)
            .map_err(|source| unreadable(path, source))?;
        self.bytes += bytes.len();
        if bytes.len() as u64 > MAX_FILE_BYTES {
            return Err(too_much("a file of more than 1 MiB"));
        }
        if self.bytes > MAX_TOTAL_BYTES {
            return Err(too_much("more than 256 MiB in all"));
        }
        self.read.files.push(path.to_owned());
        let name = name_of(path);
        let text = match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => {
                let at = error.utf8_error().valid_up_to();
                let source = SourceText::new(&name, &String::from_utf8_lossy(error.as_bytes()));
                let message = "the file is not UTF-8".to_owned();
                let span = Span::new(at, at + 1);
                self.read.unreadable.push(Diagnostic::new(
                    Code::UnreadableText,
                    &source,
                    span,
                    message,
                ));
                return Ok(());
            }
        };
        let source = SourceText::new(&name, &text);
        let sources = &mut self.read.sources;
        match role {
            Role::Rules => sources.rules.push(source),
            Role::List => sources.lists.push(source),
            Role::Account => sources.accounts.push(source),
            Role::Policy => sources.policy = Some(source),
            Role::Test => sources.tests.push(source),
        }
        Ok(())
    }
}

/// What a file in a rule folder is by its place and name.
fn role(root: &Path, path: &Path, name: &str) -> Option<Role> {
    let extension = path.extension()?.to_str()?;
    let is_yaml = matches!(extension, "yaml" | "yml");
    let inside = path.strip_prefix(root).ok()?;
    let top = inside.components().next()?.as_os_str();
    let in_folder = inside.components().count() > 1;
    if in_folder && top == "lists" {
        return (is_yaml || extension == "txt").then_some(Role::List);
    }
    if !is_yaml || name.ends_with(".test.yaml") || name.ends_with(".test.yml") {
        return None;
    }
    if in_folder && top == "accounts" {
        return Some(Role::Account);
    }
    if !in_folder && matches!(name, "policy.yaml" | "policy.yml") {
        return Some(Role::Policy);
    }
    Some(Role::Rules)
}
