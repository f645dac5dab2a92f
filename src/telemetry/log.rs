//! Log events, one a line, with UTC times: JSON for machines, coloured text for a terminal.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::SubscriberInitExt;

use super::settings::{LogFormat, Settings};

/// Where the log goes: the daemon logs to its output, a one-shot command keeps its output for its
/// answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogStream {
    Stdout,
    Stderr,
}

/// Why logging could not start.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The operator wrote a level that does not exist.
    #[error(
        "`{given}` is not a log level; write error, warn, info, debug or trace, or info,satpam::ingest=debug"
    )]
    Level { given: String, source: tracing_subscriber::filter::ParseError },
    /// Logging was started twice in one process.
    #[error("the log is in use already")]
    AlreadyStarted(#[from] tracing_subscriber::util::TryInitError),
}

impl Settings {
    /// Starts logging for the whole process; `level` overrides the configured one (the command
    /// line's or the environment's).
    ///
    /// Messages of the crates that use the `log` interface (Kafka client, store) arrive too.
    pub fn start_log(&self, stream: LogStream, level: Option<&str>) -> Result<(), LogError> {
        let filter = parse_filter(level.unwrap_or(&self.log_level))?;
        let is_terminal = match stream {
            LogStream::Stdout => io::stdout().is_terminal(),
            LogStream::Stderr => io::stderr().is_terminal(),
        };
        let json = match self.log_format {
            LogFormat::Json => true,
            LogFormat::Text => false,
            LogFormat::Auto => !is_terminal,
        };
        let colour = if is_terminal { Colour::On } else { Colour::Off };
        match stream {
            LogStream::Stdout => subscriber(filter, json, colour, io::stdout).try_init()?,
            LogStream::Stderr => subscriber(filter, json, colour, io::stderr).try_init()?,
        }
        Ok(())
    }

    /// As [`Settings::start_log`], into a file: for a command that shows something else meanwhile.
    pub fn start_log_in(&self, file: std::fs::File) -> Result<(), LogError> {
        let filter = parse_filter(&self.log_level)?;
        let json = match self.log_format {
            LogFormat::Json => true,
            LogFormat::Text | LogFormat::Auto => false,
        };
        subscriber(filter, json, Colour::Off, std::sync::Mutex::new(file)).try_init()?;
        Ok(())
    }
}

#[derive(Debug, Clone, Copy)]
enum Colour {
    On,
    Off,
}

fn parse_filter(directives: &str) -> Result<EnvFilter, LogError> {
    EnvFilter::builder()
        .parse(directives)
        .map_err(|source| LogError::Level { given: directives.to_owned(), source })
}

/// Builds what formats and writes; boxed, because the two forms are two types.
fn subscriber<W>(
    filter: EnvFilter,
    json: bool,
    colour: Colour,
    writer: W,
) -> Box<dyn tracing::Subscriber + Send + Sync>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    if json {
        // The facts stand beside the message, so that a query needs no path.
        Box::new(builder.json().flatten_event(true).with_span_list(false).finish())
    } else {
        Box::new(builder.with_ansi(matches!(colour, Colour::On)).finish())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn written(json: bool, level: &str, log: impl FnOnce()) -> String {
        let sink = Sink::default();
        let writer = sink.clone();
        let subscriber =
            subscriber(parse_filter(level).unwrap(), json, Colour::Off, move || writer.clone());
        tracing::subscriber::with_default(subscriber, log);
        let bytes = sink.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_json_line_holds_utc_time_level_message_and_facts() {
        let text = written(true, "info", || tracing::warn!(partition = 3, "offset commit failed"));
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["message"], "offset commit failed");
        assert_eq!(line["partition"], 3);
        assert_eq!(line["level"], "WARN");
        let time = line["timestamp"].as_str().unwrap();
        assert!(time.ends_with('Z') && time.parse::<jiff::Timestamp>().is_ok(), "{time}");
    }

    #[test]
    fn a_text_with_line_breaks_stays_one_json_line() {
        let text = written(true, "info", || tracing::info!(name = "a\n{\"level\":\"ERROR\"}", "x"));
        assert_eq!(text.lines().count(), 1, "{text}");
    }

    #[test]
    fn a_part_of_the_program_can_log_more_than_the_rest() {
        let log = || {
            tracing::debug!(target: "satpam::ingest", "one");
            tracing::debug!(target: "satpam::store", "two");
        };
        let text = written(false, "info,satpam::ingest=debug", log);
        assert!(text.contains("one") && !text.contains("two"), "{text}");
        assert!(!text.contains('\u{1b}'), "colour outside of a terminal: {text:?}");
    }

    #[test]
    fn a_level_that_does_not_exist_is_refused_by_name() {
        let error = parse_filter("satpam=loud").unwrap_err();
        assert!(error.to_string().contains("`satpam=loud`"), "{error}");
    }
}
