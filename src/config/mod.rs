//! Settings: the stages' own, joined into one file.

mod source;

pub use source::ConfigError;
