//! Everything that a demonstration needs besides the daemon itself.

pub mod traffic;
