//! Places for live tails: bounded for each tenant and for all together, so that no tenant can take those of the others.

use std::collections::HashMap;
use std::sync::Arc;

use model::TenantId;
use parking_lot::Mutex;

#[derive(Debug)]
pub(crate) struct TailPlaces {
    tenant_max: usize,
    all_max: usize,
    taken: Mutex<HashMap<TenantId, usize>>,
}

/// One tail's place, free again when dropped.
#[derive(Debug)]
pub(crate) struct TailPlace {
    places: Arc<TailPlaces>,
    tenant: TenantId,
}

/// Why there is no place.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Full {
    /// The tenant has as many as any may have.
    Tenant,
    /// The tenant has so many, and what is left is for those that have fewer.
    All(usize),
}

impl TailPlaces {
    /// # Panics
    /// Without room for one tenant that has all it may have.
    pub(crate) fn new(tenant_max: usize, all_max: usize) -> Arc<Self> {
        assert!(tenant_max <= all_max / 2, "one tenant alone gets its most");
        Arc::new(TailPlaces { tenant_max, all_max, taken: Mutex::default() })
    }

    /// A place for one more tail, when the tenant has fewer than are left for all: whoever comes later still finds some.
    pub(crate) fn take(self: &Arc<Self>, tenant: &TenantId) -> Result<TailPlace, Full> {
        let mut taken = self.taken.lock();
        let left = self.all_max - taken.values().sum::<usize>();
        let own = taken.get(tenant).copied().unwrap_or(0);
        if own >= self.tenant_max {
            return Err(Full::Tenant);
        }
        if own >= left {
            return Err(Full::All(own));
        }
        taken.insert(tenant.clone(), own + 1);
        Ok(TailPlace { places: self.clone(), tenant: tenant.clone() })
    }
}

impl Drop for TailPlace {
    fn drop(&mut self) {
        let mut taken = self.places.taken.lock();
        if let Some(own) = taken.get_mut(&self.tenant) {
            *own -= 1;
            if *own == 0 {
                taken.remove(&self.tenant);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_tenant_can_take_the_places_of_the_others() {
        let places = TailPlaces::new(8, 16);
        let id = |name: &str| TenantId::new(name).unwrap();
        let mut held = Vec::new();
        let mut take_all = |name: &str| loop {
            match places.take(&id(name)) {
                Ok(place) => held.push(place),
                Err(full) => return full,
            }
        };
        assert_eq!(take_all("a"), Full::Tenant);
        for (name, gets) in [("b", 4), ("c", 2), ("d", 1)] {
            assert_eq!(take_all(name), Full::All(gets), "{name}");
        }
        assert_eq!(take_all("a"), Full::Tenant);
        held.clear();
        let mut again: Vec<_> = (0..8).map(|_| places.take(&id("d")).unwrap()).collect();
        assert_eq!(places.take(&id("d")).unwrap_err(), Full::Tenant);
        again.pop();
        assert!(places.take(&id("d")).is_ok());
    }
}
