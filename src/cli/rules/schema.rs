//! `satpam rules schema`: JSON Schemas for editors.

use std::process::ExitCode;

use super::{ended, print};

/// Prints the JSON Schema of a kind of file, for editors.
///
/// An editor with a YAML language server reads it from the first line of a file:
/// `# yaml-language-server: $schema=rule.schema.json`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The kind of file
    #[arg(value_enum, default_value_t = Kind::Rule)]
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Kind {
    /// Detections, correlations and filters
    Rule,
    /// policy.yaml
    Policy,
    /// NAME.test.yaml
    Test,
    /// `accounts/APP_CODE.yaml`
    Account,
}

/// Exit code 0.
pub(super) fn run(args: &Args) -> ExitCode {
    let text = match args.kind {
        Kind::Rule => include_str!("../../../deploy/schema/rule.schema.json"),
        Kind::Policy => include_str!("../../../deploy/schema/policy.schema.json"),
        Kind::Test => include_str!("../../../deploy/schema/test.schema.json"),
        Kind::Account => include_str!("../../../deploy/schema/account.schema.json"),
    };
    ended(print(text))
}
