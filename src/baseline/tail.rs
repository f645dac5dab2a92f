//! What this account has been seen to do: a tail of hourly peaks, learnt per scale.

use serde::{Deserialize, Serialize};

use super::parameters::stored;

/// Log ratio from which a peak is part of the tail (1 h, 24 h).
const TAIL_START: [f64; 2] = [1.2, 1.0];
/// Weight of a peak: neighbouring hours of a day-long window are hardly independent.
const PEAK_WEIGHT: [f64; 2] = [1.0, 1.0 / 12.0];
const PRIOR_PEAKS: f64 = 3.0;
const PRIOR_HOURS: f64 = 750.0;

/// The tail of one scale of one measure.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Tail {
    peaks: f32,
    excess: f32,
    /// Largest log ratio of the open hour.
    peak: f32,
    /// The ratio of `peak`. Only saves work, most ratios being smaller: what is read back starts
    /// without.
    #[serde(skip)]
    peak_ratio: f64,
}

impl Tail {
    /// Notes the ratio of a count and its expectation.
    pub(super) fn note(&mut self, ratio: f64) {
        if ratio > self.peak_ratio {
            self.peak = self.peak.max(stored(ratio.ln()));
            self.peak_ratio = ratio;
        }
    }

    /// Closes the open hour; `kept` is what an hour leaves.
    pub(super) fn close_hour(&mut self, scale: usize, kept: f64) {
        let over = f64::from(self.peak) - TAIL_START[scale];
        self.decay(kept);
        if over > 0.0 {
            self.peaks = stored(f64::from(self.peaks) + PEAK_WEIGHT[scale]);
            self.excess = stored(f64::from(self.excess) + PEAK_WEIGHT[scale] * over);
        }
        self.peak = 0.0;
        self.peak_ratio = 1.0;
    }

    pub(super) fn decay(&mut self, kept: f64) {
        self.peaks = stored(f64::from(self.peaks) * kept);
        self.excess = stored(f64::from(self.excess) * kept);
    }

    /// Returns how surprising, in nats, the log ratio is by this account's own history.
    pub(super) fn surprise(&self, scale: usize, log_ratio: f64, hours_observed: f64) -> f64 {
        let (peaks, excess) = (f64::from(self.peaks), f64::from(self.excess));
        let share = ((peaks + PRIOR_PEAKS) / (hours_observed + PRIOR_HOURS)).min(1.0);
        let slope = (peaks + 2.0 * PRIOR_PEAKS) / (excess + 2.0 * PRIOR_PEAKS);
        slope * (log_ratio - TAIL_START[scale]).max(0.0) - share.ln()
    }
}
