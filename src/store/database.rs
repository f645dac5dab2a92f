//! The sled database itself: opening, quarantine of damage, atomic durable changes, and opening it
//! again after the disk refused a write.
//!
//! sled keeps a write error for ever and answers every later call with it. So all handles live
//! here behind one lock, none leaves, and the first call after such an error opens the database
//! again from what is on the disk. A change that failed is then gone as a whole.

use std::fs::{self, File};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};
use std::thread;
use std::time::Duration;

use sled::Transactional as _;
use sled::transaction::{ConflictableTransactionError, TransactionError};

use super::audit::{self, AuditEntry};
use super::error::StoreError;
use super::metrics::Metrics;
use super::{Recovered, Settings, envelope, layout};

/// Writers of one tree take turns; trees share these locks by their number.
const WRITE_LOCKS: usize = 64;
/// A change with more rows than this leaves garbage worth collecting at once.
const LARGE_CHANGE_ROWS: usize = 256;
/// crossbeam-epoch collects a few bags at each call; this many let go of a whole checkpoint.
const COLLECTIONS: usize = 100;

/// A lock that is about to be let go is waited for, two seconds in all: sled's threads, and a
/// process that is being ended, hold theirs a moment longer than their owner.
const LOCK_ATTEMPTS: u32 = 200;
const LOCK_PAUSE: Duration = Duration::from_millis(10);

/// Exists once the database has been begun.
const WITNESS: &str = "begun";

#[derive(Debug)]
pub(super) struct Database {
    settings: Settings,
    pub(super) metrics: Metrics,
    handles: RwLock<Option<Handles>>,
    /// The disk refused something: sled will not work again until it is opened again.
    broken: AtomicBool,
    write_locks: Vec<Mutex<()>>,
    /// Held while the process lives.
    _lock: File,
}

#[derive(Debug)]
struct Handles {
    sled: sled::Db,
    /// A second descriptor of sled's file: sled starts the write-back but never waits for the disk.
    file: File,
}

/// The rows of one atomic change.
#[derive(Debug, Default)]
pub(super) struct Change {
    batch: sled::Batch,
    rows: usize,
}

impl Change {
    pub(super) fn put(&mut self, key: &[u8], value: Vec<u8>) {
        self.batch.insert(key, value);
        self.rows += 1;
    }

    pub(super) fn remove(&mut self, key: &[u8]) {
        self.batch.remove(key);
        self.rows += 1;
    }
}

impl Database {
    /// Opens the database. Damage is moved out of the way and reported; an environment that is
    /// not ready (in use, no permission, disk full, a later format) is an error.
    pub(super) fn open(
        settings: &Settings,
        metrics: Metrics,
    ) -> Result<(Self, Option<Recovered>), StoreError> {
        if let Some(parent) = settings.path.parent() {
            fs::create_dir_all(parent)?;
        }
        let lock = lock(&settings.path)?;
        let (handles, recovered) = match Handles::open(settings) {
            Ok(handles) => (handles, None),
            Err(StoreError::Database(_) | StoreError::Damaged { .. }) if !settings.quarantine => {
                return Err(StoreError::Database("it needs `satpam state verify`".to_owned()));
            }
            Err(error @ (StoreError::Database(_) | StoreError::Damaged { .. })) => {
                let quarantined = quarantine(&settings.path)?;
                metrics.recovered.inc();
                let recovered = Recovered { quarantined, reason: error.to_string() };
                (Handles::open(settings)?, Some(recovered))
            }
            Err(error) => return Err(error),
        };
        let database = Self {
            settings: settings.clone(),
            metrics,
            handles: RwLock::new(Some(handles)),
            broken: AtomicBool::new(false),
            write_locks: (0..WRITE_LOCKS).map(|_| Mutex::new(())).collect(),
            _lock: lock,
        };
        Ok((database, recovered))
    }

    /// Reads from one tree.
    pub(super) fn read<T>(
        &self,
        tree: &str,
        work: impl FnOnce(&sled::Tree) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.with(|handles| work(&handles.sled.open_tree(tree)?))
    }

    /// Changes one tree: `decide` reads and collects rows while no other writer of the tree runs;
    /// the rows become visible and durable all together, before this returns.
    pub(super) fn change<T>(
        &self,
        tree: &str,
        decide: impl FnOnce(&sled::Tree, &mut Change) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.change_audited(tree, &[], decide)
    }

    /// As [`Self::change`], with audit entries in the same atomic change: they are written only
    /// when `decide` changes something, and neither is ever there without the other.
    pub(super) fn change_audited<T>(
        &self,
        tree: &str,
        audit: &[AuditEntry],
        decide: impl FnOnce(&sled::Tree, &mut Change) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let timer = self.metrics.flush_seconds.start_timer();
        let result = self.with(|handles| {
            let tree_handle = handles.sled.open_tree(tree)?;
            let mut change = Change::default();
            let turns = self.turns(tree, !audit.is_empty());
            let outcome = decide(&tree_handle, &mut change)?;
            if change.rows == 0 {
                return Ok(outcome);
            }
            if audit.is_empty() {
                tree_handle.apply_batch(change.batch)?;
            } else {
                handles.apply_audited(&tree_handle, &change.batch, audit)?;
            }
            drop(turns);
            handles.make_durable()?;
            if change.rows > LARGE_CHANGE_ROWS {
                for _ in 0..COLLECTIONS {
                    crossbeam_epoch::pin().flush();
                }
            }
            Ok(outcome)
        });
        timer.observe_duration();
        if result.is_err() {
            self.metrics.failures.inc();
        }
        result
    }

    /// Returns the shards that have a tree, ascending.
    pub(super) fn shards(&self) -> Result<Vec<crate::event::ShardId>, StoreError> {
        self.with(|handles| {
            let mut shards: Vec<_> = handles
                .sled
                .tree_names()
                .iter()
                .filter_map(|name| layout::shard_of_tree(name))
                .collect();
            shards.sort_unstable();
            Ok(shards)
        })
    }

    /// Returns the bytes of the state folder on disk, and updates the figure.
    pub(super) fn size_bytes(&self) -> Result<u64, StoreError> {
        let bytes = folder_bytes(&self.settings.path)?;
        self.metrics.size_bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
        Ok(bytes)
    }

    /// Lets sled check the structure of its own pages.
    pub(super) fn verify_pages(&self) -> Result<(), StoreError> {
        self.with(|handles| Ok(handles.sled.verify_integrity()?))
    }

    fn with<T>(
        &self,
        work: impl FnOnce(&Handles) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        if self.broken.load(Ordering::Acquire) {
            self.reopen()?;
        }
        let handles = self.handles.read().unwrap_or_else(PoisonError::into_inner);
        let Some(handles) = handles.as_ref() else {
            self.broken.store(true, Ordering::Release);
            return Err(StoreError::Io(std::io::Error::other("the state is being opened again")));
        };
        let result = work(handles);
        if matches!(result, Err(StoreError::Io(_))) {
            self.broken.store(true, Ordering::Release);
        }
        result
    }

    fn reopen(&self) -> Result<(), StoreError> {
        let mut handles = self.handles.write().unwrap_or_else(PoisonError::into_inner);
        if !self.broken.load(Ordering::Acquire) {
            return Ok(());
        }
        // sled locks its file until the last handle is gone, and its last flush fails once more.
        let old = handles.take();
        let _ = catch_unwind(AssertUnwindSafe(|| drop(old)));
        *handles = Some(Handles::open(&self.settings)?);
        self.broken.store(false, Ordering::Release);
        Ok(())
    }

    /// Takes the turn to write a tree, and that of the audit log where it is written as well. The
    /// audit log's comes first always, and no one takes two turns otherwise, so nobody waits in a
    /// circle.
    fn turns(&self, tree: &str, with_audit: bool) -> Vec<MutexGuard<'_, ()>> {
        let own = Self::turn_number(tree);
        let log = Self::turn_number(layout::AUDIT);
        let mut numbers = vec![own];
        if with_audit && own != log {
            numbers.insert(0, log);
        }
        let take =
            |number: usize| self.write_locks[number].lock().unwrap_or_else(PoisonError::into_inner);
        numbers.into_iter().map(take).collect()
    }

    fn turn_number(tree: &str) -> usize {
        let number = layout::shard_of_tree(tree.as_bytes())
            .map_or(0, |shard| usize::try_from(shard.0).unwrap_or_default());
        number % WRITE_LOCKS
    }
}

impl Handles {
    /// Opens sled and reads the few records that must be readable; a panic of sled is damage.
    fn open(settings: &Settings) -> Result<Self, StoreError> {
        let opened = catch_unwind(AssertUnwindSafe(|| {
            let config = sled::Config::new()
                .path(&settings.path)
                .cache_capacity(settings.cache_bytes)
                .mode(sled::Mode::LowSpace)
                .use_compression(false)
                .flush_every_ms(None);
            let sled = patiently(|| config.open(), is_locked)?;
            check_format(&sled, &settings.path.join(WITNESS))?;
            Ok::<_, StoreError>(sled)
        }));
        let sled = opened.unwrap_or_else(|panic| {
            let text = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied())
                .unwrap_or("it panicked");
            Err(StoreError::Database(text.to_owned()))
        })?;
        let file = File::open(settings.path.join("db"))?;
        Ok(Self { sled, file })
    }

    /// Applies rows of a tree and audit entries in one transaction over both trees.
    fn apply_audited(
        &self,
        tree: &sled::Tree,
        rows: &sled::Batch,
        entries: &[AuditEntry],
    ) -> Result<(), StoreError> {
        let log = self.sled.open_tree(layout::AUDIT)?;
        let mut lines = Change::default();
        audit::append_to(&log, &mut lines, entries)?;
        let applied = (tree, &log).transaction(|(tree, log)| {
            tree.apply_batch(rows)?;
            log.apply_batch(&lines.batch)?;
            Ok::<_, ConflictableTransactionError<std::convert::Infallible>>(())
        });
        applied.map_err(|error| match error {
            TransactionError::Abort(never) => match never {},
            TransactionError::Storage(error) => error.into(),
        })
    }

    fn make_durable(&self) -> Result<(), StoreError> {
        self.sled.flush()?;
        self.file.sync_data()?;
        Ok(())
    }
}

/// Checks the version of the layout, writes it into an empty database, and reads every offset: an
/// offset that cannot be read is damage that must show before the first record is asked for.
///
/// sled takes a file of rubbish for an empty database. The witness, a file of our own beside it,
/// says that there was one.
fn check_format(sled: &sled::Db, witness: &Path) -> Result<(), StoreError> {
    let meta = sled.open_tree(layout::META)?;
    match meta.get(layout::FORMAT)? {
        Some(value) => match envelope::open(layout::FORMAT, &value)? {
            [found] if *found <= layout::FORMAT_VERSION => {}
            [found, ..] => {
                return Err(StoreError::NewerFormat {
                    found: *found,
                    known: layout::FORMAT_VERSION,
                });
            }
            [] => {
                return Err(StoreError::Damaged { key: "format".to_owned(), what: "it is empty" });
            }
        },
        None if meta.is_empty() && sled.tree_names().len() <= 2 && !witness.exists() => {
            let value = envelope::seal(layout::FORMAT, &[layout::FORMAT_VERSION]);
            meta.insert(layout::FORMAT, value)?;
            sled.flush()?;
        }
        None => {
            return Err(StoreError::Damaged { key: "format".to_owned(), what: "it is missing" });
        }
    }
    for name in sled.tree_names() {
        if layout::shard_of_tree(&name).is_some() {
            for row in sled.open_tree(&name)?.scan_prefix([layout::OFFSET]) {
                let (key, value) = row?;
                envelope::open(&key, &value)?;
            }
        }
    }
    if !witness.exists() {
        File::create(witness)?.sync_all()?;
    }
    Ok(())
}

/// Takes the lock that tells "in use" from damage: sled's own refusal cannot be told apart.
fn lock(path: &Path) -> Result<File, StoreError> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".lock");
    let file =
        File::options().create(true).truncate(false).write(true).open(path.with_file_name(name))?;
    match patiently(|| file.try_lock(), |error| matches!(error, fs::TryLockError::WouldBlock)) {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(StoreError::InUse(path.to_owned())),
        Err(fs::TryLockError::Error(error)) => Err(error.into()),
    }
}

/// Tells whether sled refused because its file is locked. Nobody else has the state, or [`lock`]
/// had refused before, so it is an earlier handle of ours. sled has no error kind for it.
fn is_locked(error: &sled::Error) -> bool {
    matches!(error, sled::Error::Io(source) if source.to_string().contains("acquire lock"))
}

/// Tries again while a lock is held, [`LOCK_ATTEMPTS`] times at most.
#[expect(clippy::disallowed_methods, reason = "the store is synchronous, and waits only to open")]
fn patiently<T, E>(
    mut attempt: impl FnMut() -> Result<T, E>,
    is_held: impl Fn(&E) -> bool,
) -> Result<T, E> {
    for _ in 1..LOCK_ATTEMPTS {
        match attempt() {
            Err(error) if is_held(&error) => thread::sleep(LOCK_PAUSE),
            result => return result,
        }
    }
    attempt()
}

/// Renames the folder to `NAME.corrupt-N` with the first free number.
fn quarantine(path: &Path) -> Result<PathBuf, StoreError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let target = (1..=u32::MAX)
        .map(|number| path.with_file_name(format!("{name}.corrupt-{number}")))
        .find(|candidate| !candidate.exists())
        .expect("a folder does not hold four thousand million quarantined states");
    fs::rename(path, &target)?;
    Ok(target)
}

fn folder_bytes(path: &Path) -> std::io::Result<u64> {
    let mut bytes = 0;
    for item in fs::read_dir(path)? {
        let item = item?;
        // sled removes files of its own while we look.
        let Ok(metadata) = item.metadata() else { continue };
        bytes += if metadata.is_dir() { folder_bytes(&item.path())? } else { metadata.len() };
    }
    Ok(bytes)
}
