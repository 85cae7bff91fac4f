//! Migrations: what they are, and what can be wrong with them. Each database
//! applies them in its own way, under a lock, all that are missing in one
//! transaction.

use sha2::{Digest, Sha256};

use super::policy::VettedMigration;

/// One step of a module's schema.
#[derive(Debug)]
pub struct Migration {
    /// 1, 2, 3, …
    pub version: u32,
    /// What it does, for the operator.
    pub name: String,
    /// SHA-256 over the text as the module declares it, in hexadecimal.
    pub checksum: String,
    /// The statements, vetted and printed.
    pub vetted: VettedMigration,
}

impl Migration {
    /// What became of it, when the database did not take it.
    pub fn failed(&self, reason: &str) -> MigrationError {
        MigrationError::Failed { version: self.version, name: self.name.clone(), reason: reason.to_owned() }
    }
}

/// Why a schema is not what the module needs. The schema is as it was before.
#[derive(Debug, thiserror::Error)]
pub enum MigrationError {
    /// The database cannot be asked.
    #[error("the database cannot be reached")]
    Unreachable(#[source] super::SqlError),
    /// A statement failed.
    #[error("migration {version} `{name}` failed, nothing of it was kept: {reason}")]
    Failed {
        /// Which.
        version: u32,
        /// What it does.
        name: String,
        /// What the database said.
        reason: String,
    },
    /// A migration was edited after it had been applied.
    #[error(
        "migration {version} `{name}` was applied with another text before; restore its text, and put the change into a new migration"
    )]
    Changed {
        /// Which.
        version: u32,
        /// What it does.
        name: String,
    },
    /// The database is ahead of the module.
    #[error(
        "the database has migration {applied} applied, and this module knows {known}; deploy the newer module, or restore a backup"
    )]
    Ahead {
        /// The newest in the database.
        applied: u32,
        /// The newest in the module.
        known: u32,
    },
    /// The rows of a table cannot belong to callers in the way that was declared.
    #[error("declares `{column}` of `{table}` as the owner's column; there must be one of that name, of type text")]
    Owner {
        /// Which table.
        table: String,
        /// Which column.
        column: String,
    },
    /// The module's schema is somebody else's.
    #[error(
        "the schema `{schema}` has the table `{table}`, and no migration of this module was ever applied here; give the \
         module another name, or drop what is not needed"
    )]
    Occupied {
        /// Which schema.
        schema: String,
        /// What is in it.
        table: String,
    },
    /// Rows would change hands with rows that are nobody's in particular.
    #[error(
        "the foreign key `{key}` lets whoever changes `{parent}` change whose the rows of `{table}` are; declare \
         `{parent}` as owned by the column that it refers to, or leave its ON UPDATE and ON DELETE out"
    )]
    Handover {
        /// Its name.
        key: String,
        /// The table whose rows have owners.
        table: String,
        /// The table that it refers to.
        parent: String,
    },
    /// The database user may not do what the host has to do.
    #[error("{what}: {reason}; run as an administrator: {remedy}")]
    Forbidden {
        /// What the host tried.
        what: String,
        /// What the database said.
        reason: String,
        /// The statement that helps.
        remedy: String,
    },
}

/// The checksum of a migration's text.
pub fn checksum(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Those that are still to be applied, after a look at those that were.
///
/// # Errors
/// When what was applied is not a beginning of what is declared.
pub fn pending<'m>(declared: &'m [Migration], applied: &[(u32, String)]) -> Result<&'m [Migration], MigrationError> {
    for (position, (version, checksum)) in applied.iter().enumerate() {
        let Some(migration) = declared.get(position) else {
            let known = u32::try_from(declared.len()).unwrap_or(u32::MAX);
            return Err(MigrationError::Ahead { applied: *version, known });
        };
        if migration.version != *version || migration.checksum != *checksum {
            return Err(MigrationError::Changed { version: *version, name: migration.name.clone() });
        }
    }
    Ok(&declared[applied.len()..])
}
