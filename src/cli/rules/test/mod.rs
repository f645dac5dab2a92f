//! `satpam rules test`: plays the tests beside the rules through the real engine.

mod coverage;
mod format;
mod play;
mod report;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::cli::{Exit, complain, print_findings};
use crate::engine::Rules;
use crate::rulebook::{self, DetectionIndex, LoadFailure, RuleIndex};
use coverage::Coverage;
use format::{Case, ExpectedStage};
use report::{FileResult, Ran, Verdict};

/// Runs the tests of rules: the files NAME.test.yaml.
///
/// The whole rule folder around the tests is loaded (the nearest folder above with a policy.yaml),
/// since the risk of an account is made by all rules.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Folders, rule files or test files.
    #[arg(default_value = "rules")]
    paths: Vec<PathBuf>,
    /// How results are printed.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Tells what no test has exercised.
    #[arg(long)]
    coverage: bool,
    /// Fails when fewer conditions than this percentage are decided by each of their selections.
    #[arg(long, value_name = "PERCENT")]
    fail_under: Option<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For a person: what failed and why.
    Text,
    /// One JSON object.
    Json,
    /// `JUnit` XML, for CI servers.
    Junit,
}

/// Exit 0 when all tests pass, 1 when one fails or the coverage is too low, 2 when the tests or the
/// rules cannot be used.
pub(in crate::cli) fn run(args: &Args) -> ExitCode {
    let ran = match run_all(&args.paths) {
        Ok(ran) => ran,
        Err(Unusable::Rules(failure)) => {
            print_findings(&failure);
            return complain(&failure, Exit::Usage);
        }
        Err(Unusable::Tests(problem)) => return report::unusable(&problem),
    };
    if let Err(error) = report::print(args.format, &ran, args.coverage, args.fail_under)
        && error.kind() != std::io::ErrorKind::BrokenPipe
    {
        return complain(&error, Exit::Environment);
    }
    let is_covered = args.fail_under.is_none_or(|least| ran.covered_percent() >= least);
    if ran.failed() == 0 && is_covered { ExitCode::SUCCESS } else { Exit::Findings.into() }
}

enum Unusable {
    Rules(LoadFailure),
    /// What is wrong, and where.
    Tests(String),
}

fn run_all(paths: &[PathBuf]) -> Result<Ran, Unusable> {
    let mut by_root: BTreeMap<PathBuf, BTreeSet<PathBuf>> = BTreeMap::new();
    for path in paths {
        let tests = test_files(path).map_err(Unusable::Tests)?;
        by_root.entry(root_of(path)).or_default().extend(tests);
    }
    if by_root.values().all(BTreeSet::is_empty) {
        return Err(Unusable::Tests("there is no file NAME.test.yaml in these places".to_owned()));
    }
    let mut ran = Ran::default();
    for (root, files) in by_root {
        run_folder(&root, &files, &mut ran)?;
    }
    Ok(ran)
}

fn run_folder(root: &Path, files: &BTreeSet<PathBuf>, ran: &mut Ran) -> Result<(), Unusable> {
    let loaded = rulebook::load(root).map_err(Unusable::Rules)?;
    let rules = Rules::new(loaded.rulebook);
    let by_key: BTreeMap<String, RuleIndex> =
        rules.all().map(|rule| (rules.meta(rule).key.to_string(), rule)).collect();
    let mut coverage = Coverage::default();
    let mut tested = BTreeSet::new();
    for path in files {
        let file = format::read(path).map_err(Unusable::Tests)?;
        let own: Vec<RuleIndex> = rules_beside(&rules, path);
        tested.extend(&own);
        coverage.look_at(own.iter().filter_map(|rule| detection(*rule)));
        let mut result = FileResult { path: path.clone(), cases: Vec::new() };
        for case in &file.tests {
            let place = format!("{}:{}", path.display(), case.name.referenced.line());
            let verdict = run_case(case, &rules, &by_key, &mut coverage)
                .map_err(|problem| Unusable::Tests(format!("{place}: {problem}")))?;
            result.cases.push((case.name.value.clone(), case.name.referenced.line(), verdict));
        }
        ran.files.push(result);
    }
    ran.coverage.push(coverage.report(&rules, &tested));
    Ok(())
}

fn run_case(
    case: &Case,
    rules: &Rules,
    by_key: &BTreeMap<String, RuleIndex>,
    coverage: &mut Coverage,
) -> Result<Verdict, String> {
    let find = |key: &String| {
        by_key.get(key).copied().ok_or_else(|| {
            let known = by_key.keys().map(String::as_str);
            let hint =
                rulebook::nearest(key, known).map(|near| format!("; did you mean `{near}`?"));
            format!("there is no rule `{key}`{}", hint.unwrap_or_default())
        })
    };
    let expected = &case.expect;
    let wanted: Vec<RuleIndex> = expected.matches.iter().map(find).collect::<Result<_, _>>()?;
    let unwanted: Vec<RuleIndex> = expected.not.iter().map(find).collect::<Result<_, _>>()?;
    let asked: Vec<DetectionIndex> =
        wanted.iter().chain(&unwanted).filter_map(|rule| detection(*rule)).collect();
    let played = play::play(case, rules, &asked, coverage)?;

    let mut failures = Vec::new();
    let explained = |rule: RuleIndex| {
        let nearest = played.nearest.get(&detection(rule)?)?;
        Some(report::tree(rules, nearest))
    };
    for rule in wanted.iter().filter(|rule| !played.matched.contains(rule)) {
        let key = &rules.meta(*rule).key;
        failures.push((format!("`{key}` should have matched and did not"), explained(*rule)));
    }
    for rule in unwanted.iter().filter(|rule| played.matched.contains(rule)) {
        let key = &rules.meta(*rule).key;
        failures.push((format!("`{key}` should not have matched and did"), explained(*rule)));
    }
    if let Some(range) = &expected.risk
        && !range.holds(played.risk)
    {
        failures.push((format!("the risk should be {range}, it is {:.1}", played.risk), None));
    }
    let stage = ExpectedStage::of(played.stage);
    if let Some(wanted) = expected.incident
        && wanted != stage
    {
        let (wanted, stage) = (wanted.as_str(), stage.as_str());
        failures.push((format!("the incident should be `{wanted}`, it is `{stage}`"), None));
    }
    for action in expected.responses.difference(&played.responses) {
        failures.push((format!("`{}` should have been planned", action.as_str()), None));
    }
    if failures.is_empty() {
        coverage.note_silent(unwanted);
    }
    Ok(Verdict::of(failures, case.todo.clone()))
}

fn detection(rule: RuleIndex) -> Option<DetectionIndex> {
    match rule {
        RuleIndex::Detection(index) => Some(index),
        RuleIndex::Correlation(_) => None,
    }
}

/// The rules of NAME.yaml or NAME.yml beside NAME.test.yaml.
fn rules_beside(rules: &Rules, test: &Path) -> Vec<RuleIndex> {
    let stem = test.to_string_lossy().trim_end_matches(".test.yaml").to_owned();
    let is_beside = |file: &str| Path::new(file).with_extension("") == Path::new(&stem);
    rules.all().filter(|rule| is_beside(&rules.meta(*rule).file)).collect()
}

/// The nearest folder above (or at) a path that holds a policy; else the path's own folder.
fn root_of(path: &Path) -> PathBuf {
    let own = if path.is_dir() { path } else { path.parent().unwrap_or(path) };
    let root = own.ancestors().find(|folder| folder.join("policy.yaml").is_file());
    let root = root.unwrap_or(own);
    if root.as_os_str().is_empty() { PathBuf::from(".") } else { root.to_owned() }
}

fn test_files(path: &Path) -> Result<Vec<PathBuf>, String> {
    let unreadable = |error: std::io::Error| format!("cannot read {}: {error}", path.display());
    if !std::fs::metadata(path).map_err(unreadable)?.is_dir() {
        if is_test(path) {
            return Ok(vec![path.to_owned()]);
        }
        let test = path.with_extension("test.yaml");
        return if test.is_file() {
            Ok(vec![test])
        } else {
            Err(format!("{} has no tests: write {}", path.display(), test.display()))
        };
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?.path();
        let is_hidden =
            entry.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if is_hidden {
            continue;
        }
        if entry.is_dir() {
            files.extend(test_files(&entry)?);
        } else if is_test(&entry) {
            files.push(entry);
        }
    }
    Ok(files)
}

fn is_test(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().ends_with(".test.yaml"))
}
