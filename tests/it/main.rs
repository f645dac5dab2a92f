//! All integration tests, in one binary: one link.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod kafka_ingest;
mod support;
