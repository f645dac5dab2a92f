//! The same engine driven from recorded events: fresh state, event time, no effects on the world.
//!
//! - [`Replay`]: one rule set over a stream of events.
//! - [`Backtest`]: what a rule set raises over a stream, judged by [`Attack`] labels where there are
//!   any, and its [`Report`].
//!
//! Everything here is a function of the rules, the events and the labels: no clock is read, so the
//! same input gives the same report.

mod ablation;
mod attack;
mod backtest;
mod calibration;
mod html;
mod interval;
mod judge;
mod play;
mod report;
mod tally;
#[cfg(test)]
mod tests;
mod text;

pub use ablation::Added;
pub use attack::{Attack, InvalidLabel, read_labels};
pub use backtest::{Backtest, Options};
pub use calibration::BaselineRow;
pub use html::{UnprintableReport, html};
pub use interval::Interval;
pub use play::Replay;
pub use report::{
    AccountRow, AlertRow, AttackReport, ByStage, Difference, KindRow, Report, RuleDifference,
    RuleRow,
};
pub use tally::{Alarm, AlarmKind};
pub use text::text;
