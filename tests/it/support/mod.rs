//! What several tests need: the real things, started once, and the files of the project.

pub(crate) mod daemon;
pub(crate) mod intruder;
pub(crate) mod kafka;
pub(crate) mod process;
mod project;
pub(crate) mod story;

pub(crate) use project::{needs_outside_component, project_path, read, run_tool, rust_files};
