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
    pub fn missing(&self) -> usize {
        match self.begun_len {
            0 => 0,
            len => char_len(self.begun[0]) - usize::from(len),
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

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The table of RFC 3629 §4: for each range of first bytes, the ranges of those that follow.
    const WELL_FORMED: [&[(u8, u8)]; 9] = [
        &[(0x00, 0x7F)],
        &[(0xC2, 0xDF), (0x80, 0xBF)],
        &[(0xE0, 0xE0), (0xA0, 0xBF), (0x80, 0xBF)],
        &[(0xE1, 0xEC), (0x80, 0xBF), (0x80, 0xBF)],
        &[(0xED, 0xED), (0x80, 0x9F), (0x80, 0xBF)],
        &[(0xEE, 0xEF), (0x80, 0xBF), (0x80, 0xBF)],
        &[(0xF0, 0xF0), (0x90, 0xBF), (0x80, 0xBF), (0x80, 0xBF)],
        &[(0xF1, 0xF3), (0x80, 0xBF), (0x80, 0xBF), (0x80, 0xBF)],
        &[(0xF4, 0xF4), (0x80, 0x8F), (0x80, 0xBF), (0x80, 0xBF)],
    ];

    /// Returns whether `text` is valid so far, and whether it may end here, the obvious way.
    pub(in crate::protocol) fn naive(mut text: &[u8]) -> (bool, bool) {
        while !text.is_empty() {
            let fits = |row: &&&[(u8, u8)]| {
                row.iter().zip(text).all(|((low, high), byte)| (low..=high).contains(&byte))
            };
            match WELL_FORMED.iter().find(fits) {
                None => return (false, false),
                Some(row) if row.len() > text.len() => return (true, false),
                Some(row) => text = &text[row.len()..],
            }
        }
        (true, true)
    }

    /// Feeds `parts` and returns the text, or how many bytes there were when it failed.
    fn run<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Result<String, usize> {
        let (mut validator, mut text, mut len) = (Validator::new(), String::new(), 0);
        for mut part in parts {
            len += part.len();
            while !part.is_empty() {
                match validator.next(&mut part).map_err(|_| len)? {
                    Valid::Str(valid) => text.push_str(valid),
                    Valid::Char(valid) => text.push(valid),
                }
            }
        }
        validator.finish().map(|()| text).map_err(|_| len)
    }

    /// Checks every way to cut `text`: a set bit of `cuts` is a cut after that byte.
    #[track_caller]
    fn check_all_cuts(text: &[u8]) {
        let expected = str::from_utf8(text).ok();
        for cuts in 0..1_u32 << text.len().saturating_sub(1) {
            let mut rest = text;
            let mut parts = Vec::new();
            for len in (1..text.len()).rev().filter(|len| cuts >> (len - 1) & 1 == 1) {
                let (front, back) = rest.split_at(len);
                parts.insert(0, back);
                rest = front;
            }
            parts.insert(0, rest);
            assert_eq!(run(parts).ok().as_deref(), expected, "{text:02X?}, {cuts:b}");
        }
        // Byte by byte, it fails at the first byte that is impossible.
        let impossible = (1..=text.len()).find(|&len| !naive(&text[..len]).0);
        let unfinished = expected.is_none().then_some(text.len());
        assert_eq!(run(text.chunks(1)).err(), impossible.or(unfinished));
    }

    /// Every boundary of the table, its neighbours, in all strings of up to four bytes.
    #[test]
    fn agrees_with_std_on_all_short_texts_however_cut() {
        const BYTES: [u8; 23] = [
            0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1,
            0xEC, 0xED, 0xEF, 0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xFF,
        ];
        check_all_cuts(&[]);
        for a in BYTES {
            check_all_cuts(&[a]);
            for b in BYTES {
                check_all_cuts(&[a, b]);
                for c in BYTES {
                    check_all_cuts(&[a, b, c]);
                    for d in BYTES {
                        check_all_cuts(&[a, b, c, d]);
                    }
                }
            }
        }
    }

    #[test]
    fn every_character_may_be_cut_anywhere() {
        for character in (0..=0x10_FFFF).step_by(61).filter_map(char::from_u32) {
            check_all_cuts(character.encode_utf8(&mut [0; 4]).as_bytes());
        }
        // Noncharacters, NUL and a byte order mark are valid, and kept.
        for text in ["\u{FFFE}", "\u{FFFF}", "\u{10FFFF}", "\0", "\u{FEFF}x"] {
            check_all_cuts(text.as_bytes());
        }
    }

    #[test]
    fn missing_is_how_much_completes_the_character() {
        for character in ["é", "€", "🦀"] {
            for len in 1..character.len() {
                let mut validator = Validator::new();
                validator.next(&mut &character.as_bytes()[..len]).unwrap();
                assert_eq!(validator.missing(), character.len() - len);
                assert!(validator.finish().is_err());
            }
        }
    }

    proptest! {
        #[test]
        fn agrees_with_std_however_cut(
            parts in prop::collection::vec(prop_oneof![
                prop::collection::vec(any::<u8>(), 0..4),
                ".{0,20}".prop_map(String::into_bytes),
                ("\\PC", 0..4_usize).prop_map(|(c, len)| c.as_bytes()[..len.min(c.len())].into()),
            ], 0..8),
            len in 1..9_usize,
        ) {
            let text = parts.concat();
            let expected = str::from_utf8(&text).ok();
            prop_assert_eq!(naive(&text).1, expected.is_some());
            let expected = expected.map(String::from);
            prop_assert_eq!(run(text.chunks(len)).ok(), expected.clone());
            prop_assert_eq!(run(parts.iter().map(Vec::as_slice)).ok(), expected);
        }
    }
}
