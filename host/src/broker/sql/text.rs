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
    /// See [`Store::verdict`].
    fn verdict(
        &self,
        text: &str,
        scope: &Scope<'_>,
        may_vet: impl FnOnce() -> Result<(), SqlError>,
    ) -> Result<Verdict, SqlError> {
        let key = Key::from(Sha256::digest(text));
        if let Some(verdict) = self.get(&key) {
            return Ok(verdict);
        }
        may_vet()?;
        let verdict = vet(text, scope).map(|vetted| Arc::new(Statement::new("text", vetted)));
        self.keep(key, verdict.clone());
        Ok(verdict)
    }

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
        let scope = Scope { dialect: self.schema.dialect, schema: &self.schema.name, tables: &self.schema.tables };
        self.texts.verdict(text, &scope, may_vet)
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

#[cfg(test)]
mod tests {
    use super::super::policy::{Dialect, Tables};
    use super::*;

    const DENIED: &str = "DROP TABLE secrets";

    /// What is said of a text, by a module without tables.
    fn ask(texts: &Texts, text: &str, may_vet: impl FnOnce() -> Result<(), SqlError>) -> Result<Verdict, SqlError> {
        let tables = Tables::default();
        texts.verdict(text, &Scope { dialect: Dialect::Sqlite, schema: "", tables: &tables }, may_vet)
    }

    /// Whether leave is asked to vet a text; it is given.
    fn is_new(texts: &Texts, text: &str) -> bool {
        let mut asked = false;
        let verdict = ask(texts, text, || {
            asked = true;
            Ok(())
        });
        assert_eq!(verdict.expect("leave was given").is_ok(), text != DENIED, "{text}");
        asked
    }

    #[test]
    fn a_text_is_vetted_once_be_it_denied() {
        let texts = Texts::default();
        for text in ["SELECT 1", DENIED] {
            assert!(is_new(&texts, text), "{text}");
            assert!(!is_new(&texts, text), "{text} is vetted again");
        }
        // By every byte of it: what differs in a blank is another text.
        assert!(is_new(&texts, "SELECT  1"));
    }

    #[test]
    fn the_text_that_was_met_longest_ago_is_forgotten() {
        let texts = Texts::default();
        for n in 0..VERDICTS {
            assert!(is_new(&texts, &format!("SELECT {n}")));
        }
        assert!(!is_new(&texts, "SELECT 0"), "there is room for all of them");
        // Met again a moment ago, so that the next one takes the place of another.
        assert!(is_new(&texts, DENIED));
        assert!(!is_new(&texts, "SELECT 0"));
        assert!(is_new(&texts, "SELECT 1"), "more are kept than there is room for");
        for n in 0..VERDICTS {
            assert!(is_new(&texts, &format!("SELECT {n} AS other")));
        }
        for text in ["SELECT 0", "SELECT 1", DENIED] {
            assert!(is_new(&texts, text), "{text} is kept for ever");
        }
    }

    #[test]
    fn a_refusal_to_vet_is_passed_on_and_nothing_is_kept() {
        let texts = Texts::default();
        let refuse = || Err(SqlError::TooLarge("enough".to_owned()));
        for text in ["SELECT 1", DENIED] {
            let refused = ask(&texts, text, refuse);
            assert!(matches!(refused, Err(SqlError::TooLarge(why)) if why == "enough"), "{text}");
            assert!(is_new(&texts, text), "{text} was kept");
            // What is known costs nothing, and is told to whoever may bring no more.
            assert!(ask(&texts, text, refuse).is_ok(), "{text}");
        }
    }
}
