//! What an intake log says at a start.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::Ordering;

use codec::intake::{decode_labels, decode_metadata};
use codec::series::Group;
use model::Labels;
use model::time::Day;
use redb::{Database, ReadTransaction, ReadableDatabase, ReadableTable};

use super::{COUNTERS, DAMAGED, DAY, DAY_SERIES, IntakeLog, LOG, METADATA, NAMES, NEXT_SERIES, SERIES_V1, TRIMMED};
use crate::StoreError;
use crate::file::{corrupt, guarded, redb_error};
use crate::series::Catalogue;

/// What a file says at a start.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    pub(crate) next_seq: u64,
    pub(crate) next_series: u32,
    /// Nothing up to here is in the log any more.
    pub(crate) trimmed_seq: u64,
    /// The last day that began, and the series number that was next then.
    pub(crate) day: Option<(Day, u32)>,
    /// Series whose label set has another number in memory, with that.
    pub(crate) renamed: HashMap<u32, u32>,
}

impl IntakeLog {
    /// Reads what the catalogue does not know yet, and where numbering goes on.
    pub(crate) fn load(&self, catalogue: &Catalogue) -> Result<Loaded, StoreError> {
        let database = self.database()?;
        self.made.store(false, Ordering::Relaxed);
        guarded(&self.path, || {
            self.load_from(&database, catalogue).map_err(|error| match error {
                Failed::Redb(error) => redb_error("reading an intake log", &self.path, error),
                Failed::Bad(reason) => corrupt(&self.path, reason),
            })
        })
    }

    fn load_from(&self, database: &Database, catalogue: &Catalogue) -> Result<Loaded, Failed> {
        let txn = database.begin_read()?;
        let mut loaded = Loaded { next_seq: 1, ..Loaded::default() };
        let log = match txn.open_table(LOG) {
            Ok(log) => log,
            // A file that was made and never written.
            Err(redb::TableError::TableDoesNotExist(_)) => return Ok(loaded),
            Err(error) => return Err(error.into()),
        };
        let mut found = Vec::new();
        match txn.open_table(SERIES_V1) {
            Ok(table) => {
                for row in table.iter()? {
                    let (number, labels) = row?;
                    let number = number.value();
                    let labels = decode_labels(labels.value(), |text| text.into())
                        .map_err(|error| Failed::Bad(format!("series {number}: {error}")))?;
                    found.push((number, labels));
                }
            }
            Err(redb::TableError::TableDoesNotExist(_)) => {}
            Err(error) => return Err(error.into()),
        }
        self.load_names(&txn, &mut found)?;
        let next = found.iter().map(|(number, _)| number.saturating_add(1)).max();
        loaded.renamed = catalogue.insert(found).into_iter().collect();
        let mut families = Vec::new();
        for row in txn.open_table(METADATA)?.iter()? {
            let (family, row) = row?;
            let family = family.value();
            families.push(
                decode_metadata(family, row.value())
                    .map_err(|error| Failed::Bad(format!("family {family}: {error}")))?,
            );
        }
        catalogue.remember_metadata(families);
        let counters = txn.open_table(COUNTERS)?;
        let counter = |name| Ok::<_, redb::Error>(counters.get(name)?.map(|value| value.value()));
        let given = u32::try_from(counter(NEXT_SERIES)?.unwrap_or(0)).unwrap_or(u32::MAX);
        loaded.next_series = given.max(next.unwrap_or(0));
        loaded.day = counter(DAY)?
            .zip(counter(DAY_SERIES)?)
            .and_then(|(day, series)| Some((Day(i32::try_from(day).ok()?), u32::try_from(series).ok()?)));
        loaded.trimmed_seq = counter(TRIMMED)?.unwrap_or(0);
        loaded.next_seq = loaded.trimmed_seq.saturating_add(1);
        let mut bytes = 0;
        let mut records: VecDeque<(u64, u64)> = VecDeque::new();
        for row in log.iter()? {
            let (key, piece) = row?;
            let (last_seq, piece) = (key.value().0, piece.value().len() as u64);
            loaded.next_seq = loaded.next_seq.max(last_seq.saturating_add(1));
            bytes += piece;
            match records.back_mut() {
                Some((known, bytes)) if *known == last_seq => *bytes += piece,
                _ => records.push_back((last_seq, piece)),
            }
        }
        self.bytes.store(bytes, Ordering::Relaxed);
        *self.records.lock() = records;
        self.made.store(true, Ordering::Relaxed);
        Ok(loaded)
    }

    /// A group that cannot be read is logged and counted: most of its series are named in a day file too.
    fn load_names(&self, txn: &ReadTransaction, found: &mut Vec<(u32, Labels)>) -> Result<(), Failed> {
        let table = match txn.open_table(NAMES) {
            Ok(table) => table,
            Err(redb::TableError::TableDoesNotExist(_)) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let mut take = |last_seq: u64, bytes: &[u8]| match Group::decode(bytes) {
            _ if bytes.is_empty() => {}
            Ok(group) => {
                found.extend(group.numbers().iter().enumerate().map(|(at, number)| (*number, group.labels(at))));
            }
            Err(error) => {
                DAMAGED.add(&[], 1);
                let reason = error.to_string();
                tracing::error!(
                    file = %self.path.display(), record = last_seq, reason,
                    "the names of a record's series are damaged"
                );
                self.note_damage(&format!("the names of the series of record {last_seq} cannot be read ({reason})"));
            }
        };
        let mut group: (u64, Vec<u8>) = (0, Vec::new());
        for row in table.iter()? {
            let (key, piece) = row?;
            if key.value().0 != group.0 {
                take(group.0, &group.1);
                group = (key.value().0, Vec::new());
            }
            group.1.extend_from_slice(piece.value());
        }
        take(group.0, &group.1);
        Ok(())
    }
}

enum Failed {
    Redb(redb::Error),
    Bad(String),
}

impl<E: Into<redb::Error>> From<E> for Failed {
    fn from(error: E) -> Self {
        Failed::Redb(error.into())
    }
}
