//! Every mistake in the configuration, told at once.

use std::fmt;

/// One mistake: where, what, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The variable, flag or key, as the operator wrote it.
    pub key: String,
    /// What is wrong with it.
    pub what: String,
    /// What to do about it.
    pub hint: String,
}

/// All of them; never empty when returned as an error.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    /// Adds a mistake.
    pub fn push(&mut self, key: impl Into<String>, what: impl Into<String>, hint: impl Into<String>) {
        self.0.push(Problem { key: key.into(), what: what.into(), hint: hint.into() });
    }

    /// `value`, unless there was a mistake.
    ///
    /// # Errors
    /// All mistakes that were pushed.
    pub fn into_result<T>(self, value: T) -> Result<T, Self> {
        if self.0.is_empty() { Ok(value) } else { Err(self) }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.len();
        writeln!(f, "the configuration has {count} problem{}", if count == 1 { "" } else { "s" })?;
        for problem in &self.0 {
            writeln!(f, "  {}: {}", problem.key, problem.what)?;
            writeln!(f, "    hint: {}", problem.hint)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// "did you mean …?" when one of the known words is close to the unknown one.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= 2.max(candidate.len() / 4))
        .min()
        .map(|(_, candidate)| candidate)
}
