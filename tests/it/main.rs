//! The tests that need more than one module, a real component or the files of the project: one
//! binary, so that there is one link.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod architecture;
mod demo;
mod dependencies;
mod deploy;
mod eval;
mod kafka_ingest;
mod rules;
mod support;
mod takeover;
