//! Header fields as they came in: parsed, and looked up by name.

use httparse::{EMPTY_HEADER, Header, Status, parse_headers};

use super::syntax::elements;

/// The header fields of a head, in order, borrowed from it.
#[derive(Clone, Debug, Default)]
pub(super) struct ReceivedFields<'h> {
    fields: Vec<Header<'h>>,
}

/// Why field lines cannot be parsed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum FieldsError {
    /// There are more than allowed.
    TooMany,
    /// One is no `name: value`, or something follows the blank line.
    Malformed,
}

impl<'h> ReceivedFields<'h> {
    /// Parses field lines and the blank line, after which nothing may follow.
    pub(super) fn parse(lines: &'h [u8], max: usize) -> Result<Self, FieldsError> {
        let count = lines.iter().filter(|&&byte| byte == b'\n').count().saturating_sub(1);
        if count > max {
            return Err(FieldsError::TooMany);
        }
        let mut fields = vec![EMPTY_HEADER; count];
        match parse_headers(lines, &mut fields) {
            Ok(Status::Complete((length, _))) if length == lines.len() => Ok(Self { fields }),
            _ => Err(FieldsError::Malformed),
        }
    }

    /// All fields in order, to outlive this.
    pub(super) fn into_iter(self) -> impl Iterator<Item = (&'h str, &'h [u8])> {
        self.fields.into_iter().map(|field| (field.name, field.value))
    }

    /// All fields in order, the values without whitespace around them.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&'h str, &'h [u8])> {
        self.fields.iter().map(|field| (field.name, field.value))
    }

    /// The values of all fields of that name. Case does not matter.
    pub(super) fn values(&self, name: &str) -> impl Iterator<Item = &'h [u8]> {
        self.iter().filter(move |(it, _)| it.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Whether `token` is in the comma-separated list that the fields of that name make up.
    ///
    /// Case does not matter, and neither does how the list is spread over lines.
    pub(super) fn lists(&self, name: &str, token: &str) -> bool {
        self.values(name).flat_map(elements).any(|it| it.eq_ignore_ascii_case(token.as_bytes()))
    }

    /// The value of a field that must not be repeated, or `error` if it is.
    pub(super) fn single<E>(&self, name: &str, error: E) -> Result<Option<&'h [u8]>, E> {
        let mut values = self.values(name);
        let value = values.next();
        if values.next().is_some() { Err(error) } else { Ok(value) }
    }
}

/// Parses a length, which is digits and nothing else, RFC 9110 §8.6.
pub(super) fn parse_length(value: &[u8]) -> Option<u64> {
    let digits = str::from_utf8(value).ok()?;
    // Integers parse with a sign as well, which a length cannot have.
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}
