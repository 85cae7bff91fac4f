//! What may be kept. Pure, but for the two numbers that the tables hold to.

use super::KeyvalueError;

/// Bytes of a key.
const KEY_BYTES: usize = 512;
/// Bytes of a value. Larger things have columns of their own.
const VALUE_BYTES: usize = 256 << 10;
/// Keys of one caller, or of all together where they share them. Two that are set at the
/// same moment may both be the last one.
pub(super) const KEYS: i64 = 10_000;
/// Bytes of all values there.
pub(super) const BYTES: i64 = 16 << 20;

pub(super) const FULL: KeyvalueError = KeyvalueError::Refused("the bucket holds as much as it may");

pub(super) fn check_key(key: &str) -> Result<(), KeyvalueError> {
    if key.is_empty() || key.len() > KEY_BYTES {
        return Err(KeyvalueError::Refused("a key has 1 to 512 bytes"));
    }
    // Postgres keeps no text with it.
    if key.contains('\0') {
        return Err(KeyvalueError::Refused("a key has no NUL"));
    }
    Ok(())
}

pub(super) fn check_value(value: &[u8]) -> Result<(), KeyvalueError> {
    if value.len() > VALUE_BYTES { Err(KeyvalueError::Refused("a value has at most 256 KiB")) } else { Ok(()) }
}
