//! Completions of arguments.

use std::sync::Arc;

use super::{Ask, Problem, check};
use crate::bindings::offers::exports::innkeeper::backend::completions::{Reference, Suggestions};
use crate::dispatch;
use crate::instance::Guest;

/// Values of one answer, by the protocol.
const VALUES: usize = 100;
/// Bytes of one value, by our own measure.
const VALUE_BYTES: usize = 1 << 10;

/// What a caller may mean who has begun to write an argument. A module that
/// completes nothing has no suggestions.
///
/// # Errors
/// See [`Problem`].
pub async fn complete<H: Send + 'static>(
    guest: &Arc<Guest>,
    reference: Reference,
    (argument, value): (String, String),
    known: Vec<(String, String)>,
    ask: Ask<H>,
) -> Result<Suggestions, Problem> {
    let Ask { call, context, held } = ask;
    let Some(indices) = guest.exports.completions.clone() else {
        return Ok(Suggestions { values: Vec::new(), total: None, has_more: false });
    };
    let suggested = dispatch::call(guest, call, held, move |store, instance| {
        Box::pin(async move {
            let completions = indices.load(&mut *store, &instance)?;
            completions.call_complete(store, &context, &reference, &argument, &value, &known).await
        })
    });
    let mut suggested = suggested.await?.map_err(|error| Problem::of(error, "argument"))?;
    if suggested.values.iter().any(|value| value.len() > VALUE_BYTES) {
        return Err(Problem::Answer(format!("has a suggestion longer than {VALUE_BYTES} bytes")));
    }
    if suggested.values.len() > VALUES {
        suggested.values.truncate(VALUES);
        suggested.has_more = true;
    }
    for value in &mut suggested.values {
        *value = check::cut(value);
    }
    Ok(suggested)
}
