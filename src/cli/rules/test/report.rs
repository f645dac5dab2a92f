//! The results of tests, for a person and for programs.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus, TestSuite};
use serde_json::json;

use super::Format;
use super::coverage::CoverageReport;
use super::play::Explained;
use crate::cli::Exit;
use crate::cli::rules::tree::{Part, draw};
use crate::engine::Rules;

/// Everything that was run.
#[derive(Debug, Default)]
pub(super) struct Ran {
    pub(super) files: Vec<FileResult>,
    /// One for each rule folder.
    pub(super) coverage: Vec<CoverageReport>,
}

#[derive(Debug)]
pub(super) struct FileResult {
    pub(super) path: PathBuf,
    /// Name, line and verdict of each test.
    pub(super) cases: Vec<(String, u64, Verdict)>,
}

#[derive(Debug)]
pub(super) enum Verdict {
    Passed,
    /// What was expected otherwise, each with the tree that explains it where there is one.
    Failed(Vec<(String, Option<String>)>),
    /// It fails, and its author knows: why.
    NotYet(String),
}

impl Verdict {
    pub(super) fn of(failures: Vec<(String, Option<String>)>, todo: Option<String>) -> Self {
        match (failures.is_empty(), todo) {
            (true, None) => Self::Passed,
            (false, None) => Self::Failed(failures),
            (false, Some(why)) => Self::NotYet(why),
            (true, Some(_)) => {
                Self::Failed(vec![("it passes: take its `todo` away".to_owned(), None)])
            }
        }
    }

    fn word(&self) -> &'static str {
        match self {
            Self::Passed => "ok",
            Self::Failed(_) => "FAIL",
            Self::NotYet(_) => "todo",
        }
    }
}

impl Ran {
    fn count(&self, is_one: impl Fn(&Verdict) -> bool) -> usize {
        let cases = self.files.iter().flat_map(|file| &file.cases);
        cases.filter(|(_, _, verdict)| is_one(verdict)).count()
    }

    pub(super) fn failed(&self) -> usize {
        self.count(|verdict| matches!(verdict, Verdict::Failed(_)))
    }

    /// The lowest of the folders, 0 to 100.
    pub(super) fn covered_percent(&self) -> f64 {
        self.coverage.iter().map(|one| one.conditions_decided_percent).fold(100.0, f64::min)
    }
}

#[expect(clippy::print_stderr, reason = "this command talks to a person")]
pub(super) fn unusable(problem: &str) -> ExitCode {
    eprintln!("satpam: {problem}");
    Exit::Usage.into()
}

pub(super) fn print(
    format: Format,
    ran: &Ran,
    coverage: bool,
    fail_under: Option<f64>,
) -> io::Result<()> {
    let mut output = anstream::AutoStream::auto(io::stdout()).lock();
    match format {
        Format::Text => text(&mut output, ran, coverage || fail_under.is_some(), fail_under)?,
        Format::Json => json(&mut output, ran)?,
        Format::Junit => {
            junit(ran).serialize(&mut output).map_err(io::Error::other)?;
            writeln!(output)?;
        }
    }
    output.flush()
}

fn text(
    output: &mut impl Write,
    ran: &Ran,
    coverage: bool,
    fail_under: Option<f64>,
) -> io::Result<()> {
    let bold = Style::new().bold();
    for file in &ran.files {
        let passed = file.cases.iter().filter(|(_, _, one)| matches!(one, Verdict::Passed)).count();
        let path = file.path.display();
        let other = file.cases.len() - passed;
        if other == 0 {
            writeln!(output, "{bold}{path}{bold:#}  {passed} passed")?;
            continue;
        }
        writeln!(output, "{bold}{path}{bold:#}  {passed} passed, {other} not")?;
        for (name, line, verdict) in &file.cases {
            let colour = match verdict {
                Verdict::Passed => AnsiColor::Green,
                Verdict::Failed(_) => AnsiColor::Red,
                Verdict::NotYet(_) => AnsiColor::Yellow,
            };
            let colour = colour.on_default();
            writeln!(output, "  {colour}{:<4}{colour:#}  {name}  (line {line})", verdict.word())?;
            let failures = match verdict {
                Verdict::Passed => continue,
                Verdict::NotYet(why) => {
                    writeln!(output, "        {why}")?;
                    continue;
                }
                Verdict::Failed(failures) => failures,
            };
            for (failure, tree) in failures {
                writeln!(output, "        {failure}")?;
                for line in tree.iter().flat_map(|tree| tree.lines()) {
                    writeln!(output, "          {line}")?;
                }
            }
        }
    }
    if coverage {
        for one in &ran.coverage {
            covered(output, one, fail_under)?;
        }
    }
    let passed = ran.count(|verdict| matches!(verdict, Verdict::Passed));
    let not_yet = ran.count(|verdict| matches!(verdict, Verdict::NotYet(_)));
    writeln!(output, "{passed} passed, {} failed, {not_yet} todo", ran.failed())
}

fn covered(
    output: &mut impl Write,
    report: &CoverageReport,
    fail_under: Option<f64>,
) -> io::Result<()> {
    let list = |names: &[String]| {
        if names.is_empty() { String::new() } else { format!("   not: {}", names.join(", ")) }
    };
    let all = report.selections;
    writeln!(output, "Coverage")?;
    writeln!(
        output,
        "  rules with a firing and a silent test  {}/{}",
        report.rules_tested, report.rules
    )?;
    writeln!(output, "    firing{}", list(&report.rules_without_firing_test))?;
    writeln!(output, "    silent{}", list(&report.rules_without_silent_test))?;
    let was_true = all - report.selections_never_true.len();
    let never = list(&report.selections_never_true);
    writeln!(output, "  selections that were ever true         {was_true}/{all}{never}")?;
    let decided = all - report.selections_never_decided.len();
    let never = list(&report.selections_never_decided);
    writeln!(output, "  selections that ever decided           {decided}/{all}{never}")?;
    let percent = report.conditions_decided_percent;
    let verdict = match fail_under {
        Some(least) if percent < least => format!("  (less than {least} %)"),
        Some(_) | None => String::new(),
    };
    writeln!(output, "  conditions where each term decided     {percent:.0} %{verdict}")
}

fn json(output: &mut impl Write, ran: &Ran) -> io::Result<()> {
    let case = |(name, line, verdict): &(String, u64, Verdict)| {
        let failures = match verdict {
            Verdict::Failed(failures) => failures.iter().map(|(text, _)| text.as_str()).collect(),
            Verdict::Passed | Verdict::NotYet(_) => Vec::new(),
        };
        json!({"name": name, "line": line, "result": verdict.word().to_lowercase(),
            "failures": failures})
    };
    let files: Vec<_> = ran
        .files
        .iter()
        .map(|file| {
            json!({"file": file.path.display().to_string(),
                "tests": file.cases.iter().map(case).collect::<Vec<_>>()})
        })
        .collect();
    let result = json!({"files": files, "failed": ran.failed(), "coverage": ran.coverage});
    serde_json::to_writer(&mut *output, &result)?;
    writeln!(output)
}

fn junit(ran: &Ran) -> quick_junit::Report {
    let mut report = quick_junit::Report::new("satpam rules test");
    for file in &ran.files {
        let mut suite = TestSuite::new(file.path.display().to_string());
        for (name, line, verdict) in &file.cases {
            let status = match verdict {
                Verdict::Passed => TestCaseStatus::success(),
                Verdict::NotYet(_) => TestCaseStatus::skipped(),
                Verdict::Failed(failures) => {
                    let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
                    let text = failures.iter().fold(String::new(), |mut text, (failure, tree)| {
                        // Writing to a String cannot fail.
                        let _ = writeln!(text, "{failure}\n{}", tree.as_deref().unwrap_or(""));
                        text
                    });
                    status.set_message(text);
                    status
                }
            };
            let mut case = TestCase::new(name.as_str(), status);
            case.extra.insert("line".into(), line.to_string().into());
            suite.add_test_case(case);
        }
        report.add_test_suite(suite);
    }
    report
}

/// Shows which selections of a rule held on the event that came nearest to a match.
pub(super) fn tree(rules: &Rules, nearest: &Explained) -> String {
    let mut text = format!("on event {}:\n", nearest.event);
    draw(&mut text, &Part::of(rules, &nearest.explanation), 0);
    text
}
