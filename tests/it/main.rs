//! The tests that need more than one module, a real component or the files of the project: one
//! binary, so that there is one link.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod architecture;
mod backtest;
mod conformance;
mod console;
mod crash;
mod demo;
mod dependencies;
mod deploy;
mod docs;
mod docs_config;
mod eval;
mod explain;
mod kafka_ingest;
mod mail_tls;
mod openapi;
mod outage;
mod promote;
mod rules;
mod support;
mod takeover;
