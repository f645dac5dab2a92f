//! What several tests need: the real things, started once.

pub(crate) mod kafka;
