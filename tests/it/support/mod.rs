//! What several tests need: the real things, started once, and the files of the project.

pub(crate) mod kafka;
mod json_schema;
mod project;
mod published;

pub(crate) use json_schema::violation;
pub(crate) use published::published;
pub(crate) use project::{needs_outside_component, project_path, read, run_tool, rust_files};
