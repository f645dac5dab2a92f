//! `satpam rules new`: a rule to start from, with tests that pass.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use uuid::Uuid;

use super::{cannot, ended, print};

/// Writes a rule to start from, and its tests; both pass `rules lint` and `rules test`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The name of the rule: lower case letters, digits and `_`, first a letter
    name: String,
    #[arg(long, value_enum, default_value_t = Kind::Detection)]
    kind: Kind,
    /// The folder that NAME.yaml and NAME.test.yaml are written to
    #[arg(long, value_name = "DIR", default_value = "rules")]
    out: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Kind {
    /// Looks at one event
    Detection,
    /// Counts the matches of a detection
    Correlation,
    /// Compares with what the account usually does
    Baseline,
}

impl Kind {
    fn templates(self) -> (&'static str, &'static str) {
        match self {
            Self::Detection => {
                (include_str!("new/detection.yaml"), include_str!("new/detection.test.yaml"))
            }
            Self::Correlation => {
                (include_str!("new/correlation.yaml"), include_str!("new/correlation.test.yaml"))
            }
            Self::Baseline => {
                (include_str!("new/baseline.yaml"), include_str!("new/baseline.test.yaml"))
            }
        }
    }
}

/// Exit code: 0, or 2 where the name is none or a file is there already.
pub(super) fn run(args: &Args) -> ExitCode {
    let plain = |character: char| matches!(character, 'a'..='z' | '0'..='9' | '_');
    let is_name = args.name.starts_with(|first: char| first.is_ascii_lowercase())
        && args.name.chars().all(plain)
        && args.name.len() <= 64;
    if !is_name {
        return cannot(&format!(
            "take `{}` for a name: it is lower case letters, digits and `_`, first a letter",
            args.name
        ));
    }
    let (rule, test) = args.kind.templates();
    let mut written = String::new();
    for (ending, template) in [("yaml", rule), ("test.yaml", test)] {
        let path = args.out.join(format!("{}.{ending}", args.name));
        if let Err(error) = create(&path, &fill(template, &args.name)) {
            return cannot(&format!("write {}: {error}", path.display()));
        }
        written.push_str(&path.to_string_lossy());
        written.push('\n');
    }
    ended(print(&written))
}

/// The ids follow from the name, so that the same command gives the same file.
fn fill(template: &str, name: &str) -> String {
    let id = |of: &str| {
        let source = format!("https://github.com/qiscus/satpam/rules/{of}");
        Uuid::new_v5(&Uuid::NAMESPACE_URL, source.as_bytes()).to_string()
    };
    template
        .replace("{id}", &id(name))
        .replace("{base_id}", &id(&format!("{name}_base")))
        .replace("{name}", name)
}

/// Never writes over a file.
fn create(path: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(text.as_bytes())
}
