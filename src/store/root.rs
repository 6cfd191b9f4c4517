//! The store as a whole: its tenants, its accounts, its upkeep.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use model::TenantId;
use model::time::Day;
use parking_lot::RwLock;

use crate::error::describe;
use crate::file::{Files, io_error, make_dir, make_whole};
use crate::limits::{REPLAY_BYTES_MAX, SETTLE_AT_CLOSE_MAX_BYTES};
use crate::queue::closed;
use crate::{Accounts, Options, StoreError, StoreStats, Tenant};

/// The file of API tokens, in the data folder.
pub const ACCOUNTS_FILE: &str = "node.redb";

/// A cheap handle to the open store.
#[derive(Clone)]
pub struct Store(Arc<Root>);

struct Root {
    shared: Arc<Shared>,
    accounts: Accounts,
    tenants: RwLock<BTreeMap<TenantId, Slot>>,
}

/// A tenant's directory: open, or why not.
enum Slot {
    Open(Tenant),
    /// Tried again when somebody asks for it.
    Failed(String),
}

/// What all tenants share.
pub(crate) struct Shared {
    pub(crate) options: Arc<Options>,
    pub(crate) files: Arc<Files>,
    /// Memory of the heads of all tenants, in bytes.
    pub(crate) heads: Arc<AtomicUsize>,
    closed: AtomicBool,
}

impl Shared {
    pub(crate) fn heads_bytes(&self) -> usize {
        self.heads.load(Ordering::Relaxed)
    }

    /// Whether so many bytes more leave enough of the disk free.
    pub(crate) fn has_room_for(&self, bytes: u64) -> bool {
        disk_space(&self.options.dir).is_none_or(|(free, _)| free.saturating_sub(self.options.disk_free_min) >= bytes)
    }

    /// Why the disk is too full to write.
    pub(crate) fn disk_low(&self) -> Option<String> {
        // Not to know is no reason to refuse: the write itself will tell.
        let (free, _) = disk_space(&self.options.dir)?;
        (free < self.options.disk_free_min).then(|| {
            format!(
                "{free} bytes are free for {}, less than limits.disk_free_min = {}; free some, or lower the retention",
                self.options.dir.display(),
                self.options.disk_free_min
            )
        })
    }
}

impl Store {
    /// Opens or makes the store: migrates, replays each tenant's intake log, and is then ready.
    ///
    /// A tenant that cannot be opened is reported by [`Store::trouble`] and does not stop the others.
    ///
    /// # Errors
    /// `TooMuch` for a backup; `NewerStore` when any file was written by a later release; whatever keeps the data folder itself from being used.
    pub fn open(options: Options, now_ms: i64) -> Result<Store, StoreError> {
        let options = Arc::new(options);
        crate::backup::refuse_copy(&options.dir)?;
        std::fs::create_dir_all(&options.dir).map_err(|error| io_error("make", &options.dir, error))?;
        let tenants_dir = tenants_dir(&options.dir);
        make_dir(&tenants_dir)?;
        let files = Arc::new(Files::new(options.clone()));
        let shared =
            Arc::new(Shared { options: options.clone(), files, heads: Arc::default(), closed: AtomicBool::new(false) });
        let node = options.dir.join(ACCOUNTS_FILE);
        if !node.exists() {
            make_whole(&node, |unfinished| Accounts::open(unfinished).map(drop))?;
        }
        let accounts = Accounts::open(&node)?;
        let mut tenants = BTreeMap::new();
        let entries = std::fs::read_dir(&tenants_dir).map_err(|error| io_error("list", &tenants_dir, error))?;
        for entry in entries {
            let entry = entry.map_err(|error| io_error("list", &tenants_dir, error))?;
            // Whatever else lies there is not ours.
            let Some(id) = entry.file_name().to_str().and_then(|name| TenantId::new(name).ok()) else { continue };
            if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                continue;
            }
            let slot = match Tenant::open(&id, &entry.path(), shared.clone()) {
                Ok(tenant) => Slot::Open(tenant),
                Err(error @ StoreError::NewerStore { .. }) => return Err(error),
                Err(error) => {
                    let reason = describe(&error);
                    tracing::error!(tenant = %id, reason, "a tenant cannot be opened");
                    Slot::Failed(reason)
                }
            };
            tenants.insert(id, slot);
        }
        let store = Store(Arc::new(Root { shared, accounts, tenants: RwLock::new(tenants) }));
        tracing::info!(tenants = store.tenants().len(), at_ms = now_ms, "the store is open");
        Ok(store)
    }

    /// The tenant of this name, made at first use. May take some milliseconds then.
    pub fn tenant(&self, id: &TenantId) -> Result<Tenant, StoreError> {
        if let Some(tenant) = self.open_tenant(id) {
            return Ok(tenant);
        }
        let mut tenants = self.0.tenants.write();
        let known = match tenants.get(id) {
            Some(Slot::Open(tenant)) => return Ok(tenant.clone()),
            Some(Slot::Failed(_)) => true,
            None => false,
        };
        if self.is_closed() {
            return Err(closed());
        }
        let options = &self.0.shared.options;
        if !known && tenants.len() >= options.tenants_max {
            return Err(StoreError::TooManyTenants { limit: options.tenants_max, setting: "limits.tenants" });
        }
        let dir = tenants_dir(&options.dir).join(id.as_str());
        match Tenant::open(id, &dir, self.0.shared.clone()) {
            Ok(tenant) => {
                tenants.insert(id.clone(), Slot::Open(tenant.clone()));
                Ok(tenant)
            }
            Err(error) => {
                if known || dir.exists() {
                    tenants.insert(id.clone(), Slot::Failed(describe(&error)));
                }
                Err(error)
            }
        }
    }

    /// The tenant of this name if it exists; queries never make one.
    pub fn existing_tenant(&self, id: &TenantId) -> Result<Option<Tenant>, StoreError> {
        if let Some(tenant) = self.open_tenant(id) {
            return Ok(Some(tenant));
        }
        let exists = self.0.tenants.read().contains_key(id);
        if exists { self.tenant(id).map(Some) } else { Ok(None) }
    }

    /// Whether the tenant is there and open, so that asking for it costs next to nothing.
    pub fn is_open(&self, id: &TenantId) -> bool {
        matches!(self.0.tenants.read().get(id), Some(Slot::Open(_)))
    }

    fn open_tenant(&self, id: &TenantId) -> Option<Tenant> {
        match self.0.tenants.read().get(id) {
            Some(Slot::Open(tenant)) => Some(tenant.clone()),
            _ => None,
        }
    }

    /// All tenants, by name.
    pub fn tenants(&self) -> Vec<TenantId> {
        self.0.tenants.read().keys().cloned().collect()
    }

    /// Tenants that could be opened.
    pub fn open_tenants(&self) -> Vec<Tenant> {
        let tenants = self.0.tenants.read();
        tenants
            .values()
            .filter_map(|slot| match slot {
                Slot::Open(tenant) => Some(tenant.clone()),
                Slot::Failed(_) => None,
            })
            .collect()
    }

    pub fn accounts(&self) -> &Accounts {
        &self.0.accounts
    }

    /// Upkeep: seals what is full or old, trims intake logs, drops days past their retention. Called by a loop every few seconds;
    /// may take long, so from a thread of its own.
    ///
    /// # Errors
    /// The first one met; the other tenants had their turn all the same, and everything is tried again in the next round.
    pub fn maintain(&self, now_ms: i64) -> Result<(), StoreError> {
        if self.is_closed() {
            return Err(closed());
        }
        let mut first_error = None;
        for tenant in self.open_tenants() {
            if let Err(error) = tenant.0.maintain(now_ms) {
                first_error.get_or_insert(error);
            }
        }
        if let Err(error) = self.make_room(Day::of_ms(now_ms)) {
            first_error.get_or_insert(error);
        }
        first_error.map_or(Ok(()), Err)
    }

    /// Drops the oldest day of all tenants, again and again, while too little of the disk is free.
    fn make_room(&self, today: Day) -> Result<(), StoreError> {
        while self.0.shared.disk_low().is_some() {
            let oldest =
                self.open_tenants().into_iter().filter_map(|tenant| Some((tenant.0.oldest_day(today)?, tenant)));
            let Some((day, tenant)) = oldest.min_by_key(|(day, _)| *day) else { break };
            tenant.0.drop_day(day)?;
        }
        Ok(())
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.0.shared.closed.load(Ordering::Acquire)
    }

    pub fn options(&self) -> &Options {
        &self.0.shared.options
    }

    pub fn stats(&self) -> StoreStats {
        let (free, total) = disk_space(&self.0.shared.options.dir).unwrap_or_default();
        StoreStats {
            tenants: self.open_tenants().iter().map(|tenant| (tenant.id().to_string(), tenant.stats())).collect(),
            failed_tenants: self.failed_tenants().len() as u64,
            disk_free_bytes: free,
            disk_total_bytes: total,
        }
    }

    /// Why nothing can be stored now; `None` when all is well. What `/ready` says.
    pub fn trouble(&self) -> Option<String> {
        if self.is_closed() {
            return Some("the store is closing".into());
        }
        if let Some(reason) = self.0.shared.disk_low() {
            return Some(reason);
        }
        if let Some(reason) = self.open_tenants().iter().find_map(|tenant| tenant.0.trouble()) {
            return Some(reason);
        }
        // One tenant is no reason to send the senders of the others away.
        self.open_tenants().is_empty().then(|| self.failed_tenants().into_iter().next()).flatten()
    }

    /// What somebody must look at though the store goes on: tenants that cannot be opened, damaged files that were set aside, records lost
    /// at the start, damaged log blocks. In words; also what `/ready` says.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = self.failed_tenants();
        for tenant in self.open_tenants() {
            let set_aside = tenant.0.set_aside();
            let damaged = tenant.0.intake.damage().into_iter().chain(tenant.0.logs.damage());
            warnings.extend(set_aside.into_iter().chain(damaged).map(|what| format!("tenant {}: {what}", tenant.id())));
        }
        warnings
    }

    fn failed_tenants(&self) -> Vec<String> {
        let failed = |(id, slot): (&TenantId, &Slot)| match slot {
            Slot::Failed(reason) => Some(format!("tenant {id} cannot be opened: {reason}")),
            Slot::Open(_) => None,
        };
        self.0.tenants.read().iter().filter_map(failed).collect()
    }

    /// Tells upkeep that is under way to give up what the next start makes again, such as a segment of the log index: for whoever is about
    /// to stop and close, and waits for upkeep before.
    pub fn end_upkeep(&self) {
        self.0.shared.files.end_upkeep();
    }

    /// Drains the writers, writes out heads worth it, and closes. Later calls answer `Unavailable`. Small heads stay in their
    /// intake logs: replaying them takes milliseconds, writing out hundreds of tenants would not. Days with much to gain are settled.
    ///
    /// # Errors
    /// The first tenant whose head could not be written out; nothing acknowledged is lost by that, it is replayed at the next
    /// start.
    pub fn close(&self) -> Result<(), StoreError> {
        self.0.shared.closed.store(true, Ordering::Release);
        let mut first_error = None;
        let mut settle_bytes = SETTLE_AT_CLOSE_MAX_BYTES;
        for tenant in self.open_tenants() {
            tenant.0.queue.close();
            tenant.0.await_relief();
            if tenant.0.intake.bytes() > REPLAY_BYTES_MAX
                && let Err(error) = tenant.0.flush(None, true)
            {
                first_error.get_or_insert(error);
            }
            tenant.0.settle_at_close(&mut settle_bytes);
            tenant.0.tighten();
        }
        self.0.shared.files.close();
        first_error.map_or(Ok(()), Err)
    }
}

impl Drop for Root {
    /// Ends idle writer threads, which would keep the files open a while longer.
    fn drop(&mut self) {
        for slot in self.tenants.get_mut().values() {
            if let Slot::Open(tenant) = slot {
                tenant.0.queue.stop();
            }
        }
    }
}

/// The folder of tenants, in the data folder.
pub const TENANTS: &str = "tenants";

pub(crate) fn tenants_dir(dir: &Path) -> PathBuf {
    dir.join(TENANTS)
}

/// Free (for us) and all bytes of the file system that holds a directory.
pub(crate) fn disk_space(dir: &Path) -> Option<(u64, u64)> {
    let space = rustix::fs::statvfs(dir).ok()?;
    Some((space.f_bavail.saturating_mul(space.f_frsize), space.f_blocks.saturating_mul(space.f_frsize)))
}
