//! What several tests need: the real things, started once, and the files of the project.

pub(crate) mod daemon;
pub(crate) mod intruder;
mod json_schema;
pub(crate) mod kafka;
pub(crate) mod process;
mod project;
mod published;
pub(crate) mod story;

pub(crate) use json_schema::{violation, violation_in};
pub(crate) use project::{needs_outside_component, project_path, read, run_tool, rust_files};
pub(crate) use published::published;
