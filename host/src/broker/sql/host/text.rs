//! `innkeeper:backend/sql-text`: converts, delegates, converts.

use wasmtime::component::{HasSelf, Linker};

use super::Answer;
use crate::bindings::imports::innkeeper::backend::{sql, sql_text as wit};
use crate::broker::sql::text::Verdict;
use crate::broker::sql::value::Value;
use crate::broker::sql::{SqlError, Store, span};
use crate::instance::State;

/// Gives a guest the interface.
///
/// # Errors
/// When it was given before.
pub fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    wit::add_to_linker::<_, HasSelf<State>>(linker, |state| state)
}

impl wit::Host for State {
    async fn run(&mut self, text: String, params: Vec<sql::Value>) -> Answer<sql::Rows> {
        let store = self.sql_call()?;
        let span = span::text(&self.call.trace, &store, 1);
        let params = params.into_iter().map(Value::from).collect();
        let result = match self.verdict(&store, &text) {
            Ok(verdict) => store.run_text(&self.call, verdict, params).await,
            Err(error) => Err(error),
        };
        span::end(span, &result);
        self.answer("text", result.map(sql::Rows::from))
    }

    async fn batch(&mut self, steps: Vec<wit::TextStep>) -> Answer<Vec<sql::Rows>> {
        let store = self.sql_call()?;
        let span = span::text(&self.call.trace, &store, steps.len());
        let vetted = steps.into_iter().map(|wit::TextStep { text, params }| {
            Ok((self.verdict(&store, &text)?, params.into_iter().map(Value::from).collect()))
        });
        let result = match vetted.collect::<Result<Vec<_>, SqlError>>() {
            Ok(texts) => store.batch_texts(&self.call, texts).await,
            Err(error) => Err(error),
        };
        span::end(span, &result);
        self.answer("text", result.map(|all| all.into_iter().map(sql::Rows::from).collect()))
    }
}

impl State {
    fn verdict(&mut self, store: &Store, text: &str) -> Result<Verdict, SqlError> {
        store.verdict(text, || self.budget.new_text().map_err(|error| SqlError::TooLarge(error.to_string())))
    }
}
