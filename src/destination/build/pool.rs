//! Numbering values while a table is built: equal values get one number, strings one place.
//!
//! Numbers follow the order of first appearance, so equal input gives equal bytes.

use std::collections::HashMap;
use std::hash::Hash;

use super::ranges::size;
use crate::destination::error::ReferenceError;

/// Values by number; number 0 is "none".
#[derive(Debug)]
pub(super) struct Interner<T> {
    values: Vec<T>,
    numbers: HashMap<T, u32>,
}

impl<T: Clone + Default + Eq + Hash> Default for Interner<T> {
    fn default() -> Self {
        Interner::with_none(T::default())
    }
}

impl<T: Clone + Eq + Hash> Interner<T> {
    /// Starts with the value that stands for "none".
    pub(super) fn with_none(none: T) -> Self {
        Interner { numbers: HashMap::from([(none.clone(), 0)]), values: vec![none] }
    }

    /// The number of a value; at most `most`, `what` names the values in the error.
    pub(super) fn index(&mut self, value: T, most: u32, what: &'static str) -> Result<u32, ReferenceError> {
        if let Some(number) = self.numbers.get(&value) {
            return Ok(*number);
        }
        let number = u32::try_from(self.values.len()).unwrap_or(u32::MAX);
        if number > most {
            return Err(ReferenceError::TooMany { what, limit: u64::from(most) });
        }
        self.values.push(value.clone());
        self.numbers.insert(value, number);
        Ok(number)
    }

    /// Gives a value the next number, whether it has one already or not: for values that were numbered before.
    pub(super) fn push(&mut self, value: T) {
        let number = u32::try_from(self.values.len()).unwrap_or(u32::MAX);
        self.values.push(value.clone());
        self.numbers.entry(value).or_insert(number);
    }

    /// Number of values, with the one for none.
    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    /// All values by number.
    pub(super) fn values(&self) -> impl Iterator<Item = &T> {
        self.values.iter()
    }
}

/// The string pool: two bytes of length, then UTF-8. The empty string lies at 0.
#[derive(Debug)]
pub(super) struct Strings {
    bytes: Vec<u8>,
    offsets: HashMap<String, u32>,
}

impl Strings {
    pub(super) fn new() -> Strings {
        Strings { bytes: vec![0, 0], offsets: HashMap::from([(String::new(), 0)]) }
    }

    /// Where the string lies, putting it there the first time.
    pub(super) fn offset(&mut self, text: &str) -> Result<u32, ReferenceError> {
        if let Some(offset) = self.offsets.get(text) {
            return Ok(*offset);
        }
        let offset = size(self.bytes.len())?;
        let length = u16::try_from(text.len()).map_err(|_| ReferenceError::TooMany {
            what: "bytes in one string",
            limit: u64::from(u16::MAX),
        })?;
        self.bytes.extend_from_slice(&length.to_le_bytes());
        self.bytes.extend_from_slice(text.as_bytes());
        self.offsets.insert(text.to_owned(), offset);
        Ok(offset)
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}
