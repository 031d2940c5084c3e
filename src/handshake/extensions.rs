//! `Sec-WebSocket-Extensions`, RFC 6455 §9.1: its grammar, and nothing of what extensions mean.

use std::borrow::Cow;

use super::syntax::{is_token, is_token_byte, is_whitespace};

/// The extensions a client offers, in its order of preference, or those a server agrees to, as they
/// were written.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Extensions {
    /// All lines joined with commas, valid. They are parsed again by who asks for them, so that
    /// thousands of parameters take no more memory than the head did.
    list: String,
}

impl Extensions {
    /// Checks the fields' values: one extension at least, if there is a field at all.
    pub(super) fn parse<'h>(lines: impl Iterator<Item = &'h [u8]>) -> Result<Self, Malformed> {
        let mut extensions = Self::default();
        let mut present = false;
        for line in lines {
            present = true;
            extensions.push(str::from_utf8(line).map_err(|_| Malformed)?)?;
        }
        if present && extensions.iter().next().is_none() {
            return Err(Malformed);
        }
        Ok(extensions)
    }

    /// Appends a line, which is a list of its own: no quoted string goes on in the next one.
    pub(super) fn push(&mut self, line: &str) -> Result<(), Malformed> {
        let mut rest = Cursor { rest: line };
        while rest.extension()?.is_some() {}
        self.list.push_str(line);
        self.list.push(',');
        Ok(())
    }

    /// The same, and one more that is known to be valid.
    #[cfg(feature = "deflate")]
    pub(super) fn with(&self, extension: &str) -> Self {
        Self { list: format!("{}{extension},", self.list) }
    }

    /// The offered extensions, the preferred one first.
    pub(super) fn iter(&self) -> impl Iterator<Item = Extension<'_>> {
        let mut cursor = Cursor { rest: &self.list };
        core::iter::from_fn(move || cursor.extension().ok().flatten())
    }

    /// All of them as they are sent, unless there are none.
    pub(super) fn line(&self) -> Option<&str> {
        self.list.strip_suffix(',')
    }
}

/// An extension that a client offers, or that a server agrees to.
#[derive(Clone, Copy, Debug)]
pub struct Extension<'a> {
    name: &'a str,
    parameters: &'a str,
}

impl<'a> Extension<'a> {
    /// The name it is registered under, such as `permessage-deflate`.
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// The parameters in order. Nobody has checked what they mean, nor whether one is repeated.
    pub fn parameters(&self) -> impl Iterator<Item = Parameter<'a>> + use<'a> {
        let mut cursor = Cursor { rest: self.parameters };
        core::iter::from_fn(move || cursor.parameter().ok().flatten())
    }
}

/// A parameter of an [`Extension`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Parameter<'a> {
    /// Its name, a token.
    pub name: &'a str,
    /// Its value, a token that may have been quoted; `None` if the name stands alone.
    pub value: Option<Cow<'a, str>>,
}

/// What breaks the grammar.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Malformed;

/// Reads the grammar from left to right, each byte a bounded number of times.
///
/// ```text
/// extension-list  = 1#extension
/// extension       = extension-token *( ";" extension-param )
/// extension-param = token [ "=" (token | quoted-string) ]
/// ```
///
/// §9.1 takes the rules of RFC 2616 along with it: there may be whitespace between any two parts.
#[derive(Debug)]
struct Cursor<'a> {
    rest: &'a str,
}

impl<'a> Cursor<'a> {
    /// Takes the next extension and the comma after it, or returns `None` at the end.
    fn extension(&mut self) -> Result<Option<Extension<'a>>, Malformed> {
        while self.take(b',') {}
        if self.rest.is_empty() {
            return Ok(None);
        }
        let name = self.token()?;
        let start = self.rest;
        while self.parameter()?.is_some() {}
        let parameters = &start[..start.len() - self.rest.len()];
        if !self.take(b',') && !self.rest.is_empty() {
            return Err(Malformed);
        }
        Ok(Some(Extension { name, parameters }))
    }

    /// Takes the next `; name=value`, or returns `None` if there is no semicolon.
    fn parameter(&mut self) -> Result<Option<Parameter<'a>>, Malformed> {
        if !self.take(b';') {
            return Ok(None);
        }
        let name = self.token()?;
        let value = if !self.take(b'=') {
            None
        } else if self.take(b'"') {
            Some(self.quoted()?)
        } else {
            Some(self.token()?.into())
        };
        Ok(Some(Parameter { name, value }))
    }

    /// Skips whitespace, then takes `byte` if it is next.
    fn take(&mut self, byte: u8) -> bool {
        self.skip_whitespace();
        match self.rest.strip_prefix(char::from(byte)) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn token(&mut self) -> Result<&'a str, Malformed> {
        self.skip_whitespace();
        let end =
            self.rest.bytes().position(|byte| !is_token_byte(byte)).unwrap_or(self.rest.len());
        let (token, rest) = self.rest.split_at(end);
        self.rest = rest;
        if token.is_empty() { Err(Malformed) } else { Ok(token) }
    }

    /// Takes the rest of a quoted string. "The value after quoted-string unescaping MUST conform to
    /// the 'token' ABNF."
    fn quoted(&mut self) -> Result<Cow<'a, str>, Malformed> {
        let mut escaped = false;
        let is_end = |byte: u8| {
            let end = byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            end
        };
        let end = self.rest.bytes().position(is_end).ok_or(Malformed)?;
        let quoted = &self.rest[..end];
        self.rest = &self.rest[end + 1..];
        // Neither a backslash nor a quotation mark can be in a token, escaped or not: what is left
        // of a valid value without its backslashes is its characters.
        let value = if quoted.contains('\\') {
            Cow::Owned(quoted.replace('\\', ""))
        } else {
            Cow::Borrowed(quoted)
        };
        let valid = is_token(value.as_bytes()) && !quoted.contains(r"\\");
        if valid { Ok(value) } else { Err(Malformed) }
    }

    fn skip_whitespace(&mut self) {
        self.rest = self.rest.trim_start_matches(|c: char| c.is_ascii() && is_whitespace(c as u8));
    }
}

#[cfg(test)]
mod tests;
