//! `satpam rules docs`: a page for each rule, and one for each code of a finding.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::facts::{Authored, RuleFacts};
use super::show::rows;
use super::{cannot, unusable};
use crate::rulebook::{Code, Severity};

/// Writes a Markdown page for each rule, and an index of them.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Rule folders and files
    #[arg(default_value = "rules")]
    paths: Vec<PathBuf>,
    /// The folder that the pages are written to; pages of rules that are gone stay
    #[arg(long, value_name = "DIR", required_unless_present = "codes")]
    out: Option<PathBuf>,
    /// Print the page of all codes of findings instead
    #[arg(long, conflicts_with = "out")]
    codes: bool,
}

/// Exit code: 0, or 2 where the rules cannot be used or the pages cannot be written.
pub(super) fn run(args: &Args) -> ExitCode {
    let Some(out) = &args.out else {
        return super::ended(super::print(&codes()));
    };
    let authored = match Authored::load(&args.paths) {
        Ok(authored) => authored,
        Err(failure) => return unusable(&failure),
    };
    match write(out, &authored.rules()) {
        Ok(()) => ExitCode::SUCCESS,
        Err((path, error)) => cannot(&format!("write {}: {error}", path.display())),
    }
}

fn write(out: &Path, rules: &[RuleFacts<'_>]) -> Result<(), (PathBuf, std::io::Error)> {
    std::fs::create_dir_all(out).map_err(|error| (out.to_owned(), error))?;
    let pages = rules.iter().map(|rule| (file_name(rule.key), page(rule, rules)));
    for (name, text) in pages.chain([("README.md".to_owned(), index(rules))]) {
        let path = out.join(name);
        std::fs::write(&path, text).map_err(|error| (path, error))?;
    }
    Ok(())
}

/// A key is whatever its author wrote; a file's name is not.
fn file_name(key: &str) -> String {
    let safe = |character: char| {
        let is_plain = character.is_ascii_alphanumeric() || matches!(character, '_' | '-');
        if is_plain { character } else { '-' }
    };
    format!("{}.md", key.chars().map(safe).collect::<String>())
}

fn index(rules: &[RuleFacts<'_>]) -> String {
    let mut page = format!(
        "# Rules\n\n<!-- Written by `satpam rules docs`. -->\n\n{} rules. `counts` tells \
         which add risk by themselves; the others are what correlations are made of.\n",
        rules.len()
    );
    let mut folder = None;
    for rule in rules {
        let of = Path::new(rule.file).parent().map(|path| path.to_string_lossy().into_owned());
        if of != folder {
            let title = of.as_deref().unwrap_or_default();
            write_to(
                &mut page,
                &format!(
                    "\n## {title}\n\n| Rule | | Type | Level | Status | Counts |\n\
                     | --- | --- | --- | --- | --- | --- |\n"
                ),
            );
            folder = of;
        }
        let line = format!(
            "| [{}]({}) | {} | {} | {} | {} | {} |\n",
            rule.key,
            file_name(rule.key),
            cell(rule.title),
            rule.kind,
            rule.level,
            rule.status,
            if rule.reports { "yes" } else { "" },
        );
        write_to(&mut page, &line);
    }
    page
}

fn page(rule: &RuleFacts<'_>, rules: &[RuleFacts<'_>]) -> String {
    let mut page = format!("# {}\n\n<!-- Written by `satpam rules docs`. -->\n", rule.title);
    if !rule.description.is_empty() {
        write_to(&mut page, &format!("\n{}\n", rule.description));
    }
    let link = |key: &str| format!("[{key}]({})", file_name(key));
    let used_by: Vec<&str> =
        rules.iter().filter(|o| o.rules.contains(&rule.key)).map(|other| other.key).collect();
    write_to(&mut page, &format!("\n| | |\n| --- | --- |\n| name | `{}` |\n", rule.key));
    for (name, value) in rows(rule, &used_by) {
        let value = match name {
            "builds on" => rule.rules.iter().map(|key| link(key)).collect::<Vec<_>>().join(", "),
            "used by" => used_by.iter().map(|key| link(key)).collect::<Vec<_>>().join(", "),
            _ => cell(&value),
        };
        if !value.is_empty() {
            write_to(&mut page, &format!("| {name} | {value} |\n"));
        }
    }
    if !rule.contain.is_empty() {
        write_to(&mut page, &format!("| argues for | {} |\n", rule.contain.join(", ")));
    }
    write_to(&mut page, &format!("| file | {}, line {} |\n", cell(rule.file), rule.line));
    if let Some(tenant) = &rule.tenant {
        write_to(
            &mut page,
            &format!("\nThe tenant is told:\n\n- {}\n- {}\n", tenant.id, tenant.en),
        );
    }
    list(&mut page, "False positives", &rule.falsepositives);
    list(&mut page, "References", &rule.references);
    write_to(&mut page, &format!("\n## Rule\n\n```yaml\n{}\n```\n", rule.source));
    page
}

fn list(page: &mut String, title: &str, texts: &[&str]) {
    if texts.is_empty() {
        return;
    }
    write_to(page, &format!("\n## {title}\n\n"));
    for text in texts {
        write_to(page, &format!("- {text}\n"));
    }
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

fn write_to(page: &mut String, text: &str) {
    page.push_str(text);
}

/// Returns the page of every code.
fn codes() -> String {
    let mut page = String::from(
        "# Findings\n\n<!-- Written by `satpam rules docs --codes`. -->\n\n\
         What `satpam rules lint` and `satpam check` tell, by code. A rule set with an error is not \
         used; one with warnings is. `satpam rules explain CODE` prints the same.\n\n\
         A warning that an author has looked at and accepts is ignored by a comment with a reason: \
         `# satpam: ignore[SP503] reason` behind something on a line is about that line, on a line \
         of its own about the whole document it stands in. Errors cannot be ignored.\n\n\
         | Code | | |\n| --- | --- | --- |\n",
    );
    let severity = |code: Code| match code.severity() {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    for code in Code::ALL {
        let summary = cell(code.explanation().summary);
        let anchor = code.as_str().to_lowercase();
        writeln!(page, "| [{code}](#{anchor}) | {} | {summary} |", severity(*code))
            .expect("a string takes whatever is written");
    }
    for code in Code::ALL {
        let explanation = code.explanation();
        write!(
            page,
            "\n## {code}\n\n**{}: {}.** {}\n\n```yaml\n{}```\n",
            severity(*code),
            explanation.summary,
            explanation.text,
            explanation.example,
        )
        .expect("a string takes whatever is written");
    }
    page
}
