//! What one call may still use of its module's limits.

use std::time::Duration;

use wasmtime::ResourceLimiter;

use crate::broker::llm::Run;
use crate::config::ModuleLimits;

/// What an element of a table costs the host.
const TABLE_ELEMENT_BYTES: usize = 16;

/// SQL texts of one call that the host has not met lately. Parsing one is the
/// host's time, up to a millisecond, and not the guest's. Lower: reports that
/// build many queries fail. Higher: a call that brings nothing else takes the
/// host's core for longer.
const NEW_TEXTS: u32 = 64;

/// Counts down. Memories and tables are *summed*: wasmtime's own limits are for
/// each of them, and a component may have many.
#[derive(Debug)]
pub struct Budget {
    memory_left: usize,
    cpu_left: Duration,
    host_calls_left: u32,
    new_texts_left: u32,
    /// What it asked of language models.
    pub llm: Run,
    /// Growth was refused, which is the likely reason of a trap that follows.
    pub memory_refused: bool,
}

/// The module's `host_calls` are used up.
#[derive(Debug, thiserror::Error)]
#[error("the call made more host calls than limits.host_calls allows")]
pub struct HostCallsUsedUp;

/// The call brought more SQL texts than one may.
#[derive(Debug, thiserror::Error)]
#[error("a call may bring at most {NEW_TEXTS} texts that were not met lately; declare those that are always the same")]
pub struct NewTextsUsedUp;

impl Budget {
    pub(super) fn new(limits: &ModuleLimits) -> Self {
        Self {
            memory_left: limits.memory,
            cpu_left: limits.cpu,
            host_calls_left: limits.host_calls,
            new_texts_left: NEW_TEXTS,
            llm: Run::new(limits.llm_time),
            memory_refused: false,
        }
    }

    pub(super) fn host_call(&mut self) -> Result<(), HostCallsUsedUp> {
        self.host_calls_left = self.host_calls_left.checked_sub(1).ok_or(HostCallsUsedUp)?;
        Ok(())
    }

    /// Counts one SQL text that the host has to parse.
    ///
    /// # Errors
    /// When the call has brought too many.
    pub fn new_text(&mut self) -> Result<(), NewTextsUsedUp> {
        self.new_texts_left = self.new_texts_left.checked_sub(1).ok_or(NewTextsUsedUp)?;
        Ok(())
    }

    /// The guest has run for so long; false when its CPU time is used up.
    pub(super) fn run(&mut self, time: Duration) -> bool {
        self.cpu_left = self.cpu_left.saturating_sub(time);
        !self.cpu_left.is_zero()
    }

    fn take_memory(&mut self, bytes: usize) -> bool {
        match self.memory_left.checked_sub(bytes) {
            Some(left) => {
                self.memory_left = left;
                true
            }
            None => {
                self.memory_refused = true;
                false
            }
        }
    }
}

impl ResourceLimiter for Budget {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(self.take_memory(desired.saturating_sub(current)))
    }

    fn table_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(self.take_memory(desired.saturating_sub(current).saturating_mul(TABLE_ELEMENT_BYTES)))
    }

    // A component of today's toolchains has up to four of each; one with an
    // interpreter inside has a few more.
    fn instances(&self) -> usize {
        64
    }

    fn tables(&self) -> usize {
        32
    }

    fn memories(&self) -> usize {
        4
    }
}
