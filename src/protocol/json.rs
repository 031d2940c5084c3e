//! Messages that are JSON, RFC 8259.

use serde_core::Deserialize;

use super::Message;

impl<'a> Message<'a> {
    /// Parses the message as JSON.
    ///
    /// What is parsed may borrow from the message, as `&str` does. But there is nothing to borrow
    /// where a string has an escape in it, such as `\"` or the `\u00e9` that many clients write for
    /// `é`: into `&str`, such a string is an error. `String` takes them all, and so does `Cow<str>`,
    /// which with `#[serde(borrow)]` borrows where it can.
    ///
    /// A binary message is parsed as well: JSON is UTF-8 wherever it is found (RFC 8259 §8.1), and
    /// some clients send it so. To take text alone, look at [`is_text`](Self::is_text).
    ///
    /// # Errors
    ///
    /// Fails if the message is not one JSON text, or not one of this type, and says where: the
    /// error has a line, a column, and a [category](serde_json::Error::classify). Nothing happens
    /// to the connection: the message may be good WebSocket and bad JSON. Nesting deeper than 128
    /// is an error too, so that no message exhausts the stack.
    ///
    /// # Examples
    ///
    /// ```
    /// use wsloop::Message;
    ///
    /// let (name, age): (&str, u8) = Message::Text(r#"["Ada", 36]"#).json()?;
    /// assert_eq!((name, age), ("Ada", 36));
    ///
    /// let escaped = Message::Text(r#""Zo\u00eb""#);
    /// assert_eq!(escaped.json::<String>()?, "Zoë");
    /// assert!(escaped.json::<&str>().is_err());
    ///
    /// let error = Message::Text(r#"["Ada", 3600]"#).json::<(&str, u8)>().unwrap_err();
    /// assert_eq!(
    ///     error.to_string(),
    ///     "invalid value: integer `3600`, expected u8 at line 1 column 12"
    /// );
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    pub fn json<T: Deserialize<'a>>(self) -> Result<T, serde_json::Error> {
        match self {
            Self::Text(text) => serde_json::from_str(text),
            Self::Binary(bytes) => serde_json::from_slice(bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_parsed_borrows_from_the_message() {
        let text = String::from(r#"["grün","🦀"]"#);
        let words: Vec<&str> = Message::from(&text).json().unwrap();
        assert_eq!(words, ["grün", "🦀"]);
        assert!(text.as_bytes().as_ptr_range().contains(&words[1].as_ptr()));
    }

    #[test]
    fn binary_messages_are_parsed_as_text_is_if_they_are_utf_8() {
        assert_eq!(Message::Binary("\"€\"".as_bytes()).json::<&str>().unwrap(), "€");
        assert!(Message::Binary(b"\"\xE2\x82\"").json::<&str>().unwrap_err().is_syntax());
    }

    #[test]
    fn errors_say_where() {
        for (text, line, column, is_syntax) in [
            ("{\n  \"a\": oops\n}", 2, 8, true),
            // Of another type.
            ("[]", 1, 0, false),
            // Not one JSON text, but more.
            ("{} {}", 1, 4, true),
        ] {
            let error = Message::Text(text).json::<serde_json::Map<_, _>>().unwrap_err();
            assert_eq!((error.line(), error.column()), (line, column), "{error}");
            assert_eq!((error.is_syntax(), error.is_data()), (is_syntax, !is_syntax), "{error}");
        }
        assert!(Message::Text("").json::<()>().unwrap_err().is_eof());
    }

    #[test]
    fn no_message_exhausts_the_stack() {
        let deep = "[".repeat(1 << 20);
        let error = Message::from(&deep).json::<serde_json::Value>().unwrap_err();
        assert!(error.to_string().starts_with("recursion limit exceeded"), "{error}");
    }
}
