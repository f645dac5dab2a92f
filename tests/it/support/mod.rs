//! What several tests need: the real things, started once.

pub(crate) mod kafka;
mod project;

pub(crate) use project::{needs_outside_component, project_path, read, run_tool, rust_files};
