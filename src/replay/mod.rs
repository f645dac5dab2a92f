//! The same engine driven from recorded events: fresh state, event time, no effects on the world.
//!
//! - [`Replay`]: one rule set over a stream of events.
//! - [`Attack`]: the labels of a stream: which attacks it holds.
//!
//! Everything here is a function of the rules, the events and the labels: no clock is read, so the
//! same input gives the same report.

mod attack;
mod play;

pub use attack::{Attack, InvalidLabel, read_labels};
pub use play::Replay;
