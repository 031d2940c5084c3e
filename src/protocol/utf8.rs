//! RFC 6455 §8.1: whether text is valid UTF-8, found out while it arrives.
//!
//! Fragments and reads may end inside a character. The bytes of such a character are kept aside
//! until the rest comes, so that everything else can be lent as `&str` from where it is, checked
//! once and for all.

use core::{mem, str};

use super::Violation;

/// Checks text that arrives in parts.
///
/// # Examples
///
/// ```
/// use wsloop::protocol::utf8::{Valid, Validator};
///
/// let mut validator = Validator::default();
/// let mut input = &b"3 \xE2\x82"[..];
/// assert_eq!(validator.next(&mut input), Ok(Valid::Str("3 ")));
/// assert!(input.is_empty());
///
/// let mut input = &b"\xAC each"[..];
/// assert_eq!(validator.next(&mut input), Ok(Valid::Char('€')));
/// assert_eq!(validator.next(&mut input), Ok(Valid::Str(" each")));
/// assert_eq!(validator.finish(), Ok(()));
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Validator {
    /// The first bytes of a character, each of which can still become part of a valid one.
    begun: [u8; 3],
    begun_len: u8,
}

/// Text found valid.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Valid<'a> {
    /// Text that is valid where it is. May be empty.
    Str(&'a str),
    /// A character of which an earlier part held the beginning.
    Char(char),
}

impl Validator {
    /// Makes a validator for text of which nothing has arrived.
    #[must_use]
    pub const fn new() -> Self {
        Self { begun: [0; 3], begun_len: 0 }
    }

    /// Takes from the front of `input` what is valid together.
    ///
    /// To be called until `input` is empty. A character that `input` ends in the middle of is
    /// used up as well, and remembered.
    ///
    /// # Errors
    ///
    /// Fails with [`Violation::InvalidUtf8`] on the first byte that no valid text can have there,
    /// be the character complete or not.
    pub fn next<'i>(&mut self, input: &mut &'i [u8]) -> Result<Valid<'i>, Violation> {
        if self.begun_len > 0 {
            return self.complete(input);
        }
        let (text, begun) = split_incomplete(mem::take(input));
        let text = validate(text)?;
        if !begun.is_empty() {
            check_begun(begun)?;
            self.begun[..begun.len()].copy_from_slice(begun);
            self.begun_len = begun.len() as u8;
        }
        Ok(Valid::Str(text))
    }

    /// Returns how many bytes complete the character begun: from 1 to 3, or 0 if none is.
    #[must_use]
    pub const fn missing(&self) -> usize {
        match self.begun_len {
            0 => 0,
            len => char_len(self.begun[0]) - len as usize,
        }
    }

    /// Checks that the text may end here. The validator is then ready for another one.
    ///
    /// # Errors
    ///
    /// Fails with [`Violation::InvalidUtf8`] inside a character.
    pub const fn finish(&self) -> Result<(), Violation> {
        match self.begun_len {
            0 => Ok(()),
            _ => Err(Violation::InvalidUtf8),
        }
    }

    /// Adds bytes to the character begun, until it is complete or `input` used up.
    fn complete<'i>(&mut self, input: &mut &'i [u8]) -> Result<Valid<'i>, Violation> {
        let begun_len = usize::from(self.begun_len);
        let taken = self.missing().min(input.len());
        let (more, rest) = input.split_at(taken);
        *input = rest;

        let mut character = [0; 4];
        character[..begun_len].copy_from_slice(&self.begun[..begun_len]);
        character[begun_len..begun_len + taken].copy_from_slice(more);
        let character = &character[..begun_len + taken];
        if taken == self.missing() {
            self.begun_len = 0;
            let character = validate(character)?.chars().next();
            return character.map(Valid::Char).ok_or(Violation::InvalidUtf8);
        }
        check_begun(character)?;
        self.begun[..character.len()].copy_from_slice(character);
        self.begun_len = character.len() as u8;
        Ok(Valid::Str(""))
    }
}

/// Checks text that is all there.
pub(super) fn validate(text: &[u8]) -> Result<&str, Violation> {
    str::from_utf8(text).map_err(|_| Violation::InvalidUtf8)
}

/// Checks that the only thing wrong with `begun` is that the character goes on.
fn check_begun(begun: &[u8]) -> Result<(), Violation> {
    match str::from_utf8(begun) {
        Err(error) if error.error_len().is_none() => Ok(()),
        _ => Err(Violation::InvalidUtf8),
    }
}

/// Splits off the last character if bytes of it are missing.
///
/// Neither part is checked: what this does to invalid text is only to leave it invalid.
fn split_incomplete(text: &[u8]) -> (&[u8], &[u8]) {
    let lead = text.iter().rev().take(3).position(|&byte| !is_continuation(byte));
    match lead {
        Some(after) if char_len(text[text.len() - 1 - after]) > after + 1 => {
            text.split_at(text.len() - 1 - after)
        }
        _ => (text, &[]),
    }
}

/// Returns whether the byte is one of those that follow the first of a character.
const fn is_continuation(byte: u8) -> bool {
    byte & 0xC0 == 0x80
}

/// Returns how many bytes the character that begins with `lead` has.
const fn char_len(lead: u8) -> usize {
    match lead {
        0x00..=0xBF => 1,
        0xC0..=0xDF => 2,
        0xE0..=0xEF => 3,
        0xF0..=0xFF => 4,
    }
}
