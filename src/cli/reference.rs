//! The whole command line as one page, and what each command's exit codes mean.

use std::fmt::Write as _;

use clap::{Arg, ArgAction, Command, CommandFactory};

use super::Arguments;

/// The exit codes of each command that does something, by its words behind `satpam`.
const EXIT_CODES: [(&str, &str); 31] = [
    (
        "run",
        "0 stopped by a signal, 2 the configuration or the rules cannot be used, 3 the broker, the disk or a port fails",
    ),
    ("check", "0 no findings, 1 warnings, 2 the rules cannot be used"),
    ("demo", "0 the intruder was caught, 1 not"),
    ("incidents list", ASKED),
    ("incidents show", "0 shown, 2 there is no such incident, 3 the daemon cannot be asked"),
    (
        "incidents close",
        "0 closed, 1 it was closed already, 2 there is no such incident, 3 the daemon cannot be asked",
    ),
    ("responses list", ASKED),
    ("responses approve", DECIDED),
    ("responses deny", DECIDED),
    ("responses undo", DECIDED),
    ("outbox list", ASKED),
    ("outbox retry", MENDED),
    ("outbox discard", MENDED),
    (
        "eval",
        "0 every line was read, also without matches, 1 lines could not be read, 2 the rules cannot be used",
    ),
    ("config default", "0"),
    ("config check", "0 the file can be used, 2 not"),
    ("health", "0 ready, 1 the daemon says what it waits for, 3 it does not answer"),
    (
        "backtest",
        "0 everything was read, 1 lines or records could not be, 2 the arguments, the rules or the labels cannot be used, 3 a file, the broker or the output fails",
    ),
    ("rules list", "0 listed, also where the filters leave no rule, 2 the rules cannot be used"),
    ("rules show", "0 shown, 2 there is no such rule or the rules cannot be used"),
    ("rules docs", "0 written, 2 the rules cannot be used or the pages not be written"),
    ("rules bench", "0 measured, 2 the rules or the events cannot be used"),
    ("rules new", "0 written, 2 the name is none, or a file is there already"),
    ("rules fmt", "0 done, 1 a file would change (with --check), 2 a file cannot be formatted"),
    ("rules schema", "0"),
    ("rules lint", "0 nothing found, 1 errors or warnings, 2 the paths cannot be read or written"),
    (
        "rules test",
        "0 all tests pass, 1 one fails or the coverage is too low, 2 the tests or the rules cannot be used",
    ),
    (
        "rules explain",
        "0 the rule matches, or a code was explained, 1 it does not match, 2 there is no such rule or code, or the events cannot be used",
    ),
    (
        "rules promote",
        "0 ready, 1 not ready, 2 there is no such experimental rule, or nothing can be read of it",
    ),
    ("man", "0 written, 3 the pages cannot be written"),
    ("simulate", "0 written, 3 a file cannot be written"),
];
const ASKED: &str = "0 listed, 2 a filter cannot be used, 3 the daemon cannot be asked";
const DECIDED: &str =
    "0 done, 1 it was decided already, 2 there is no such action, 3 the daemon cannot be asked";
const MENDED: &str = "0 done, 1 its state does not allow it, 2 there is no such delivery, 3 the daemon cannot be asked";

/// Returns the command line with the exit codes in the help of each command.
pub(super) fn command() -> Command {
    with_exit_codes(Arguments::command(), "")
}

fn with_exit_codes(mut command: Command, path: &str) -> Command {
    let names: Vec<String> =
        command.get_subcommands().map(|command| command.get_name().to_owned()).collect();
    if let Some(codes) = exit_codes(path) {
        command = command.after_help(format!("Exit code: {codes}."));
    }
    for name in names {
        let path = format!("{path} {name}").trim_start().to_owned();
        command = command.mut_subcommand(name, |inner| with_exit_codes(inner, &path));
    }
    command
}

fn exit_codes(path: &str) -> Option<&'static str> {
    EXIT_CODES.iter().find(|(command, _)| *command == path).map(|(_, codes)| *codes)
}

/// Returns the page, in Markdown.
pub(super) fn page() -> String {
    let mut command = command();
    command.build();
    let mut page = String::from(
        "# Commands\n\n<!-- Written by `satpam man --markdown`. -->\n\n\
         An exit code of 2 means that what the command was given cannot be used: its arguments, \
         the configuration, the rules. 3 means that something around it fails: the broker, the \
         disk, the daemon. `satpam COMMAND --help` prints the same.\n\n\
         | Command | |\n| --- | --- |\n",
    );
    let mut sections = String::new();
    for command in command.get_subcommands() {
        section(command, "satpam", &mut page, &mut sections);
    }
    page + &sections
}

fn add(text: &mut String, args: std::fmt::Arguments<'_>) {
    text.write_fmt(args).expect("a String takes any text");
}

/// Writes one line of the table and one section for each command that does something.
fn section(command: &Command, above: &str, table: &mut String, text: &mut String) {
    let name = format!("{above} {}", command.get_name());
    let own: Vec<&Command> =
        command.get_subcommands().filter(|inner| inner.get_name() != "help").collect();
    if !own.is_empty() {
        own.into_iter().for_each(|inner| section(inner, &name, table, text));
        return;
    }
    if command.get_name() == "help" {
        return;
    }
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let about = about.trim_end_matches('.');
    let anchor = name.replace(' ', "-");
    add(table, format_args!("| [`{name}`](#{anchor}) | {} |\n", cell(about)));
    add(text, format_args!("\n## {name}\n\n{about}.\n"));
    if let Some(long) = command.get_long_about().map(ToString::to_string)
        && let Some((_, more)) = long.split_once("\n\n")
    {
        add(text, format_args!("\n{more}\n"));
    }
    let usage = command.clone().render_usage().to_string();
    add(text, format_args!("\n```\n{}\n```\n", usage.trim_start_matches("Usage: ")));
    let arguments: Vec<&Arg> = command.get_arguments().filter(|one| !is_help(one)).collect();
    if !arguments.is_empty() {
        text.push_str("\n| | | |\n| --- | --- | --- |\n");
    }
    for argument in arguments {
        let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
        let help = cell(help.trim_end_matches('.'));
        add(text, format_args!("| `{}` | {help} | {} |\n", written(argument), values(argument)));
    }
    let path = name.trim_start_matches("satpam ");
    let codes = exit_codes(path).unwrap_or("0");
    add(text, format_args!("\nExit code: {codes}.\n"));
}

fn is_help(argument: &Arg) -> bool {
    matches!(
        argument.get_action(),
        ArgAction::Help | ArgAction::HelpShort | ArgAction::HelpLong | ArgAction::Version
    )
}

/// The argument as it is written, `--format <FORMAT>`.
fn written(argument: &Arg) -> String {
    let value = || {
        let names = argument.get_value_names().unwrap_or_default();
        names.iter().map(|name| format!("<{name}>")).collect::<Vec<_>>().join(" ")
    };
    match argument.get_long() {
        Some(long) if argument.get_action().takes_values() => format!("--{long} {}", value()),
        Some(long) => format!("--{long}"),
        None => value(),
    }
}

/// The words that may stand there, and what is meant where nothing stands.
fn values(argument: &Arg) -> String {
    let mut parts = Vec::new();
    let words = argument.get_possible_values();
    if argument.get_action().takes_values() && !words.is_empty() {
        let words = words.iter().filter(|word| !word.is_hide_set());
        let words: Vec<_> = words.map(|word| format!("`{}`", word.get_name())).collect();
        parts.push(words.join(", "));
    }
    let defaults: Vec<_> =
        argument.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    if argument.get_action().takes_values() && !defaults.is_empty() {
        parts.push(format!("default `{}`", defaults.join(" ")));
    } else if argument.is_required_set() {
        parts.push("required".to_owned());
    }
    parts.join("; ")
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_that_does_something_says_its_exit_codes() {
        fn leaves(command: &Command, above: &str, found: &mut Vec<String>) {
            for inner in command.get_subcommands() {
                let path = format!("{above} {}", inner.get_name()).trim_start().to_owned();
                if inner.has_subcommands() {
                    leaves(inner, &path, found);
                } else {
                    found.push(path);
                }
            }
        }
        let mut found = Vec::new();
        leaves(&Arguments::command(), "", &mut found);
        // It only prints.
        found.retain(|path| path != "completions");
        found.sort();
        let mut known: Vec<_> = EXIT_CODES.iter().map(|(path, _)| (*path).to_owned()).collect();
        known.sort();
        assert_eq!(found, known);
        Arguments::command().debug_assert();
    }
}
