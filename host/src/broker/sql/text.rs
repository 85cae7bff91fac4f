//! Texts that a guest writes while it runs. Each passes the gate that declared
//! statements pass; verdicts are kept, for the gate is the costly part.

use std::sync::{Arc, Mutex, PoisonError};

use hashlink::LruCache;
use sha2::{Digest, Sha256};

use super::policy::{Denied, Scope, vet};
use super::value::{Rows, Value};
use super::{SqlError, Statement, Store, check_batch};
use crate::call::Call;

/// Verdicts of one module. More are of no use to a module whose texts repeat, and
/// no number is enough for one whose texts never do.
const VERDICTS: usize = 256;

/// SHA-256 of a text.
type Key = [u8; 32];

/// What the gate said of texts that were met lately, by their SHA-256.
pub(super) struct Texts(Mutex<LruCache<Key, Verdict>>);

/// What the gate said of one text.
pub type Verdict = Result<Arc<Statement>, Denied>;

impl Default for Texts {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(VERDICTS)))
    }
}

impl Texts {
    fn get(&self, key: &Key) -> Option<Verdict> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    fn keep(&self, key: Key, verdict: Verdict) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key, verdict);
    }
}

impl Store {
    /// What the gate says of a text. Asks `may_vet` first when it has to parse it:
    /// that is the host's own time.
    ///
    /// # Errors
    /// What `may_vet` says.
    pub fn verdict(&self, text: &str, may_vet: impl FnOnce() -> Result<(), SqlError>) -> Result<Verdict, SqlError> {
        let key = Key::from(Sha256::digest(text));
        if let Some(verdict) = self.texts.get(&key) {
            return Ok(verdict);
        }
        may_vet()?;
        let scope = Scope { dialect: self.schema.dialect, schema: &self.schema.name, tables: &self.schema.tables };
        let verdict = vet(text, &scope).map(|vetted| Arc::new(Statement::new("text", vetted)));
        self.texts.keep(key, verdict.clone());
        Ok(verdict)
    }

    /// Runs one text.
    ///
    /// # Errors
    /// See [`SqlError`].
    pub async fn run_text(&self, call: &Call, verdict: Verdict, params: Vec<Value>) -> Result<Rows, SqlError> {
        let mut all = self.batch_texts(call, vec![(verdict, params)]).await?;
        Ok(all.pop().unwrap_or_default())
    }

    /// Runs texts in one transaction, all or nothing.
    ///
    /// # Errors
    /// See [`SqlError`].
    pub async fn batch_texts(&self, call: &Call, texts: Vec<(Verdict, Vec<Value>)>) -> Result<Vec<Rows>, SqlError> {
        check_batch(texts.len())?;
        let mut steps = Vec::with_capacity(texts.len());
        for (verdict, params) in texts {
            let statement = verdict.map_err(|denied| SqlError::Denied(denied.to_string()))?;
            steps.push(self.permit(&statement, params)?);
        }
        if steps.is_empty() {
            return Ok(Vec::new());
        }
        for step in &steps {
            self.learn(call, &step.statement).await?;
        }
        self.execute(call, &steps).await
    }

    /// Prepares a text that was not prepared yet, for the types of its parameters.
    async fn learn(&self, call: &Call, statement: &Statement) -> Result<(), SqlError> {
        if statement.signature().is_some() {
            return Ok(());
        }
        self.check_ready()?;
        let prepared = tokio::time::timeout_at(self.until(call).into(), self.backend.prepare(&statement.vetted)).await;
        let signature = prepared.unwrap_or(Err(SqlError::Timeout))?;
        // Another call may have been quicker; the answer is the same.
        let _ = statement.signature.set(signature);
        Ok(())
    }
}
