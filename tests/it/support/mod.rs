//! What several tests need: the real things, started once.

pub(crate) mod kafka;
mod project;

pub(crate) use project::{project_path, read, rust_files};
