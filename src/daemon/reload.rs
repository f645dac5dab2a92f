//! The rule set, loaded and loaded again: on SIGHUP and when its folder changes. All or nothing: a
//! rule set that has errors changes nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use arc_swap::ArcSwap;
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::engine::{self, Rules};
use crate::respond::Figures;
use crate::rulebook::{self, LoadFailure, Rulebook, SourceText};
use crate::telemetry::systemd;

/// A change is followed by others (an editor, a checkout): so long nothing may happen before the
/// folder is read.
const QUIET: Duration = Duration::from_millis(300);
/// And after so long it is read whatever happens.
const QUIET_AT_MOST: Duration = Duration::from_secs(5);

/// A rule set with what it takes to say how the next one differs.
#[derive(Debug)]
pub(super) struct LoadedRules {
    pub(super) rules: Rules,
    texts: RuleTexts,
    warnings: usize,
}

/// The text of each rule by its key.
type RuleTexts = BTreeMap<Arc<str>, String>;

/// Reads and compiles the rules.
pub(super) fn load(path: &Path) -> Result<LoadedRules, LoadFailure> {
    let read = rulebook::read(&[path.to_owned()])?;
    if !read.unreadable.is_empty() {
        return Err(LoadFailure::Invalid(read.unreadable));
    }
    let (rulebook, warnings) = rulebook::compile(&read.sources).map_err(LoadFailure::Invalid)?;
    let texts = rule_texts(&rulebook, &read.sources.rules);
    Ok(LoadedRules { rules: Rules::new(rulebook), texts, warnings: warnings.len() })
}

/// Cuts the files into rules: each reaches from its first line to the next rule's.
fn rule_texts(rulebook: &Rulebook, files: &[Arc<SourceText>]) -> RuleTexts {
    let detections = rulebook.detections.iter().map(|rule| &rule.meta);
    let correlations = rulebook.correlations.iter().map(|rule| &rule.meta);
    let mut starts: BTreeMap<&str, Vec<(usize, Arc<str>)>> = BTreeMap::new();
    for meta in detections.chain(correlations) {
        starts.entry(&meta.file).or_default().push((meta.line, meta.key.clone()));
    }
    let mut texts = RuleTexts::new();
    for file in files {
        let Some(rules) = starts.get_mut(file.name()) else { continue };
        rules.sort();
        let lines: Vec<&str> = file.text().lines().collect();
        for (at, (line, key)) in rules.iter().enumerate() {
            let end = rules.get(at + 1).map_or(lines.len(), |(next, _)| next.saturating_sub(1));
            let own = lines.get(line.saturating_sub(1)..end).unwrap_or_default();
            texts.insert(key.clone(), own.join("\n"));
        }
    }
    texts
}

/// Which rules differ between two rule sets.
#[derive(Debug, Default, PartialEq, Eq)]
struct Difference {
    added: Vec<Arc<str>>,
    removed: Vec<Arc<str>>,
    changed: Vec<Arc<str>>,
}

impl Difference {
    fn between(before: &RuleTexts, after: &RuleTexts) -> Self {
        let mut difference = Self::default();
        for (key, text) in after {
            match before.get(key) {
                None => difference.added.push(key.clone()),
                Some(known) if known != text => difference.changed.push(key.clone()),
                Some(_) => {}
            }
        }
        difference.removed =
            before.keys().filter(|key| !after.contains_key(*key)).cloned().collect();
        difference
    }
}

/// Loads the rules again when told to.
pub(super) struct Reloader {
    pub(super) path: PathBuf,
    pub(super) rules: Arc<ArcSwap<Rules>>,
    pub(super) metrics: engine::Metrics,
    pub(super) figures: Arc<Figures>,
    pub(super) clock: Arc<dyn Clock>,
    texts: RuleTexts,
}

impl Reloader {
    /// Takes the first rule set into use.
    pub(super) fn begin(
        path: PathBuf,
        loaded: LoadedRules,
        metrics: engine::Metrics,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let rules = Arc::new(ArcSwap::from_pointee(loaded.rules));
        let texts = loaded.texts;
        let reloader = Self { path, rules, metrics, figures: Arc::default(), clock, texts };
        reloader.show(loaded.warnings);
        reloader
    }

    /// Runs until `stop`.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let (bell, mut changes) = mpsc::channel::<()>(1);
        // The watcher ends when it is dropped.
        let _watcher = watch(&self.path, bell);
        let Ok(mut hangup) = signal(SignalKind::hangup()) else {
            tracing::error!("SIGHUP cannot be listened for: rules are loaded at the start only");
            return;
        };
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = hangup.recv() => {
                    systemd::reloading();
                    self.reload().await;
                    systemd::ready("reading events");
                }
                Some(()) = changes.recv() => {
                    settle(&mut changes).await;
                    self.reload().await;
                }
            }
        }
    }

    async fn reload(&mut self) {
        let path = self.path.clone();
        let loaded = tokio::task::spawn_blocking(move || load(&path)).await;
        let loaded = match loaded {
            Ok(Ok(loaded)) => loaded,
            Ok(Err(failure)) => return self.refuse(&failure),
            Err(panic) => return self.refuse(&panic),
        };
        if loaded.rules.rulebook().revision == self.rules.load().rulebook().revision {
            // A change may have been taken back: what is in use is what the folder says.
            self.metrics.reloaded(self.now_seconds());
            tracing::info!("the rules are the same");
            return;
        }
        let difference = Difference::between(&self.texts, &loaded.texts);
        self.rules.store(Arc::new(loaded.rules));
        self.texts = loaded.texts;
        tracing::info!(
            revision = %self.rules.load().rulebook().revision,
            rules = self.texts.len(),
            added = ?difference.added,
            removed = ?difference.removed,
            changed = ?difference.changed,
            "the rules were loaded again"
        );
        self.show(loaded.warnings);
    }

    fn refuse(&self, error: &dyn std::error::Error) {
        self.metrics.reload_failed();
        tracing::error!(%error, "the rules cannot be used: those in use stay; see `satpam check`");
    }

    fn show(&self, warnings: usize) {
        let rules = self.rules.load();
        self.metrics.show_rules(&rules);
        self.metrics.reloaded(self.now_seconds());
        let half_life = rules.rulebook().policy.half_life_millis;
        self.figures.half_life_millis.store(half_life, Ordering::Relaxed);
        if warnings > 0 {
            tracing::warn!(warnings, "the rules have findings: run `satpam check` on them");
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "milliseconds are exact for 285,000 years")]
    fn now_seconds(&self) -> f64 {
        self.clock.now().0 as f64 / 1000.0
    }
}

/// Rings when something below the path changes; nothing is watched where that is not possible.
fn watch(path: &Path, bell: mpsc::Sender<()>) -> Option<RecommendedWatcher> {
    let on_event = move |event: notify::Result<notify::Event>| {
        // Reading the rules is an event as well, and must not ring.
        let is_change = event.map_or(true, |event| match event.kind {
            EventKind::Access(_) => false,
            EventKind::Any
            | EventKind::Create(_)
            | EventKind::Modify(_)
            | EventKind::Remove(_)
            | EventKind::Other => true,
        });
        if is_change {
            // It has been rung already if there is no room.
            let _ = bell.try_send(());
        }
    };
    let watched = notify::recommended_watcher(on_event).and_then(|mut watcher| {
        watcher.watch(path, RecursiveMode::Recursive)?;
        Ok(watcher)
    });
    watched
        .inspect_err(|error| {
            tracing::warn!(%error, "the rule folder cannot be watched; SIGHUP loads it again");
        })
        .ok()
}

/// Waits until no more changes come.
async fn settle(changes: &mut mpsc::Receiver<()>) {
    let latest = Instant::now() + QUIET_AT_MOST;
    while Instant::now() < latest {
        match tokio::time::timeout(QUIET, changes.recv()).await {
            Ok(Some(())) => {}
            Ok(None) | Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_difference_names_the_rules() {
        let texts = |rules: &[(&str, &str)]| -> RuleTexts {
            rules.iter().map(|(key, text)| ((*key).into(), (*text).to_owned())).collect()
        };
        let before = texts(&[("a", "1"), ("b", "1"), ("c", "1")]);
        let after = texts(&[("b", "1"), ("c", "2"), ("d", "1")]);
        let difference = Difference::between(&before, &after);
        assert_eq!(difference.added, ["d".into()]);
        assert_eq!(difference.removed, ["a".into()]);
        assert_eq!(difference.changed, ["c".into()]);
        assert_eq!(Difference::between(&after, &after), Difference::default());
    }
}
