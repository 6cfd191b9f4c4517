//! API tokens (`node.redb`): only their hashes are stored.
//!
//! The key of a token is the SHA-256 of its secret. A plain hash is enough, since a secret is 256 random bits and nobody
//! can guess it from its hash; and a look-up by hash tells an attacker nothing by its timing.

use std::path::Path;
use std::sync::Arc;

use codec::alert::{RowError, RowReader, RowWriter};
use model::TenantId;
use redb::{Database, ReadableTable, ReadableTableMetadata, TableDefinition};
use sha2::{Digest, Sha256};

use crate::StoreError;
use crate::alerts::{SmallDatabase, corrupt, failed, newer};

const META: TableDefinition<'static, &str, u64> = TableDefinition::new("meta");
const FORMAT: &str = "format_version";
const FORMAT_VERSION: u64 = 1;
/// 2: the scope `operate`.
const ROW_VERSION: u8 = 2;
/// SHA-256 of the secret to the token.
const TOKENS: TableDefinition<'static, [u8; 32], &[u8]> = TableDefinition::new("tokens");

/// Key and value of a token.
type TokenRow = ([u8; 32], Vec<u8>);

/// Page cache in bytes; the file is small.
const CACHE_BYTES: usize = 1 << 20;
/// Most tokens: enough for a fleet, and listing them stays cheap.
const TOKENS_MAX: u64 = 10_000;
/// Longest name of a token, in bytes.
const NAME_BYTES_MAX: usize = 200;
/// Longer ones cannot be ours and are not hashed.
const SECRET_BYTES_MAX: usize = 200;
/// Random bytes of a secret.
const SECRET_BYTES: usize = 32;
/// What every secret begins with, so that scanners for leaked credentials can know one.
const SECRET_PREFIX: &str = "bnc_";

/// What a token may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Push OTLP.
    Ingest,
    /// Query and see pages.
    Read,
    /// As `Read`, and change what people are told: silences, acknowledgements, pushed alerts, test messages.
    Operate,
    /// Everything, other tokens included.
    Admin,
}

impl Scope {
    pub const ALL: [Scope; 4] = [Scope::Ingest, Scope::Read, Scope::Operate, Scope::Admin];

    /// As people write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Scope::Ingest => "ingest",
            Scope::Read => "read",
            Scope::Operate => "operate",
            Scope::Admin => "admin",
        }
    }

    /// Whether a token of this scope may do what needs another one.
    pub fn includes(self, needed: Scope) -> bool {
        match self {
            Scope::Admin => true,
            Scope::Operate => matches!(needed, Scope::Operate | Scope::Read),
            Scope::Ingest | Scope::Read => self == needed,
        }
    }
}

/// A token as it is stored and listed; the secret itself is known only to whoever was shown it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Short public id, for listing and revoking.
    pub id: String,
    pub name: String,
    pub scope: Scope,
    pub tenant: TenantId,
    pub created_ms: i64,
}

/// A cheap handle.
#[derive(Clone)]
pub struct Accounts {
    inner: Arc<Inner>,
}

struct Inner {
    db: SmallDatabase,
    /// For error messages.
    path: String,
}

impl Accounts {
    /// Opens or makes the file.
    ///
    /// # Errors
    /// `NewerStore` when a newer release wrote it; `InUse` when another program has it open; `Corrupt` when it is damaged, since who may
    /// come in is not for a program to guess; `Redb` when it cannot be opened.
    pub fn open(path: &Path) -> Result<Accounts, StoreError> {
        crate::file::refuse_empty(path)?;
        let name = path.display().to_string();
        let failed = failed::<redb::Error>("opening accounts", &name);
        let path = path.to_path_buf();
        let db = SmallDatabase::new(move || Database::builder().set_cache_size(CACHE_BYTES).create(&path));
        let db = db.map_err(|error| match error {
            redb::Error::DatabaseAlreadyOpen => StoreError::InUse { path: name.clone() },
            error => failed(error),
        })?;
        let found = prepare(&db).map_err(failed)?;
        if found > FORMAT_VERSION {
            return Err(newer(&name, found, FORMAT_VERSION));
        }
        Ok(Accounts { inner: Arc::new(Inner { db, path: name }) })
    }

    /// Makes a token from 256 random bits and returns it with its secret (`bnc_…`), which is shown once and never again.
    ///
    /// # Errors
    /// `TooMuch` when there are 10 000 tokens, or the name is longer than 200 bytes.
    pub fn create_token(
        &self,
        name: &str,
        scope: Scope,
        tenant: &TenantId,
        now_ms: i64,
    ) -> Result<(Token, String), StoreError> {
        const DOING: &str = "writing a token";
        if name.len() > NAME_BYTES_MAX {
            let message = format!("a token's name has at most {NAME_BYTES_MAX} bytes; choose a shorter one");
            return Err(StoreError::TooMuch { message });
        }
        let secret = format!("{SECRET_PREFIX}{}", random_hex::<SECRET_BYTES>()?);
        let token =
            Token { id: random_hex::<6>()?, name: name.into(), scope, tenant: tenant.clone(), created_ms: now_ms };
        let written = self.insert(&secret, &token).map_err(self.failed(DOING))?;
        if !written {
            let message = format!("there are {TOKENS_MAX} tokens already; revoke some first");
            return Err(StoreError::TooMuch { message });
        }
        Ok((token, secret))
    }

    /// The token that a secret belongs to. Looks up the secret's SHA-256, so timing tells nothing of it.
    pub fn token_of_secret(&self, secret: &str) -> Result<Option<Token>, StoreError> {
        if secret.len() > SECRET_BYTES_MAX {
            return Ok(None);
        }
        let row = self.row(secret).map_err(self.failed("reading a token"))?;
        row.map(|row| decode(&row).map_err(|error| corrupt(&self.inner.path, &error))).transpose()
    }

    /// By time of creation.
    pub fn tokens(&self) -> Result<Vec<Token>, StoreError> {
        let rows = self.rows().map_err(self.failed("reading tokens"))?;
        let mut tokens = rows
            .iter()
            .map(|(_, row)| decode(row).map_err(|error| corrupt(&self.inner.path, &error)))
            .collect::<Result<Vec<Token>, StoreError>>()?;
        tokens.sort_by(|a, b| (a.created_ms, &a.id).cmp(&(b.created_ms, &b.id)));
        Ok(tokens)
    }

    /// Runs while the file stays as it is.
    pub(crate) fn while_unchanged<T>(&self, job: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.inner.db.hold(job).map_err(self.failed("holding accounts"))?
    }

    /// Whether there was one.
    pub fn revoke_token(&self, id: &str) -> Result<bool, StoreError> {
        const DOING: &str = "revoking a token";
        for (key, row) in self.rows().map_err(self.failed(DOING))? {
            if decode(&row).map_err(|error| corrupt(&self.inner.path, &error))?.id == id {
                self.remove(key).map_err(self.failed(DOING))?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn failed(&self, doing: &'static str) -> impl Fn(redb::Error) -> StoreError {
        failed(doing, &self.inner.path)
    }

    fn insert(&self, secret: &str, token: &Token) -> Result<bool, redb::Error> {
        self.inner.db.write(|txn| {
            let mut table = txn.open_table(TOKENS)?;
            if table.len()? >= TOKENS_MAX {
                return Ok(false);
            }
            table.insert(key(secret), encode(token).as_slice())?;
            Ok(true)
        })
    }

    fn remove(&self, key: [u8; 32]) -> Result<(), redb::Error> {
        self.inner.db.write(|txn| {
            txn.open_table(TOKENS)?.remove(key)?;
            Ok(())
        })
    }

    fn row(&self, secret: &str) -> Result<Option<Vec<u8>>, redb::Error> {
        self.inner.db.read(|txn| Ok(txn.open_table(TOKENS)?.get(key(secret))?.map(|row| row.value().to_vec())))
    }

    fn rows(&self) -> Result<Vec<TokenRow>, redb::Error> {
        self.inner.db.read(|txn| {
            let mut rows = Vec::new();
            for entry in txn.open_table(TOKENS)?.iter()? {
                let (key, row) = entry?;
                rows.push((key.value(), row.value().to_vec()));
            }
            Ok(rows)
        })
    }
}

fn prepare(db: &SmallDatabase) -> Result<u64, redb::Error> {
    db.write(|txn| {
        let mut meta = txn.open_table(META)?;
        let found = meta.get(FORMAT)?.map(|version| version.value());
        if found.is_none() {
            meta.insert(FORMAT, FORMAT_VERSION)?;
            txn.open_table(TOKENS)?;
        }
        Ok(found.unwrap_or(FORMAT_VERSION))
    })
}

fn key(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

fn random_hex<const BYTES: usize>() -> Result<String, StoreError> {
    let mut bytes = [0_u8; BYTES];
    getrandom::fill(&mut bytes).map_err(|error| StoreError::Io {
        doing: "asking the system for random bytes".into(),
        source: std::io::Error::other(error.to_string()),
    })?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn encode(token: &Token) -> Vec<u8> {
    let Token { id, name, scope, tenant, created_ms } = token;
    let mut row = RowWriter::new(ROW_VERSION);
    row.text(id);
    row.text(name);
    row.byte(match scope {
        Scope::Ingest => 1,
        Scope::Read => 2,
        Scope::Admin => 3,
        Scope::Operate => 4,
    });
    row.text(tenant.as_str());
    row.signed(*created_ms);
    row.finish()
}

fn decode(row: &[u8]) -> Result<Token, RowError> {
    let mut reader = RowReader::new(row, ROW_VERSION)?;
    let token = Token {
        id: reader.text()?.into(),
        name: reader.text()?.into(),
        scope: match reader.byte()? {
            1 => Scope::Ingest,
            2 => Scope::Read,
            3 => Scope::Admin,
            4 => Scope::Operate,
            _ => return Err(reader.bad("scope")),
        },
        tenant: TenantId::new(reader.text()?).map_err(|_| reader.bad("tenant"))?,
        created_ms: reader.signed()?,
    };
    reader.finish()?;
    Ok(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_known_by_its_secret_until_revoked() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("node.redb");
        let tenant = TenantId::new("vessel-7").unwrap();
        let accounts = Accounts::open(&path).unwrap();
        let (first, secret) = accounts.create_token("collector", Scope::Ingest, &tenant, 5).unwrap();
        let (second, other) = accounts.create_token("grafana", Scope::Read, &tenant, 4).unwrap();
        assert!(secret.starts_with("bnc_") && secret.len() == 4 + 64, "{secret}");
        assert_ne!(secret, other);
        let refused = Accounts::open(&path).err().unwrap();
        assert!(matches!(&refused, StoreError::InUse { path: named } if named.contains("node.redb")), "{refused}");
        drop(accounts);

        let accounts = Accounts::open(&path).unwrap();
        assert_eq!(accounts.token_of_secret(&secret).unwrap(), Some(first.clone()));
        assert_eq!(accounts.tokens().unwrap(), [second.clone(), first.clone()]);
        for wrong in ["", "bnc_", &secret[..secret.len() - 1], &"x".repeat(10_000)] {
            assert_eq!(accounts.token_of_secret(wrong).unwrap(), None);
        }
        assert!(accounts.revoke_token(&first.id).unwrap());
        assert!(!accounts.revoke_token(&first.id).unwrap());
        assert_eq!(accounts.token_of_secret(&secret).unwrap(), None);
        assert_eq!(accounts.token_of_secret(&other).unwrap(), Some(second));
        let error = accounts.create_token(&"n".repeat(201), Scope::Read, &tenant, 6).unwrap_err();
        assert_eq!(error.kind(), model::Kind::TooMuch);
        // The file holds no secret.
        let bytes = std::fs::read(&path).unwrap();
        assert!(!bytes.windows(other.len()).any(|window| window == other.as_bytes()));
    }
}
