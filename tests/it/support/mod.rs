//! What several tests share.

mod project;

pub(crate) use project::{needs_outside_component, project_path, read, run_tool, rust_files};
