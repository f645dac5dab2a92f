//! One batch: from records to committed effects. Start reading at [`step`].
//!
//! The engine is a pure function of the shard's state and the records: it reads no clock, does no
//! I/O but loading an account that is not in memory, and draws no random number.

mod account;
mod applied;
mod breaker;
mod close;
mod evidence;
mod merge;
mod metrics;
mod outcome;
mod profile;
mod recent;
mod rules;
mod shadow;
mod shard;
mod step;
mod tally;
#[cfg(test)]
mod tests;
mod version;

pub use account::{Account, UnreadableAccount};
pub use breaker::Throttling;
pub use close::{Closing, close, take_over};
pub use merge::{Incoming, Merge};
pub use metrics::Metrics;
pub use outcome::{EventOutcome, Outcome};
pub use rules::Rules;
pub use shadow::{Sample, Staged, Staging};
pub use shard::{AccountSource, NoAccounts, Shard};
pub use step::{Observed, Settings, Workspace, step};
