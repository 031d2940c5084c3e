//! Messages, and the pieces of messages that are too long or too slow to wait for.

use super::Opcode;

/// A message, borrowed from wherever its data is.
///
/// What is received is lent from the read buffer, what is sent is anything that converts:
/// `&str` and `&String` to text, bytes to binary.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Message<'a> {
    /// Text, which is always valid UTF-8 (RFC 6455 §5.6).
    Text(&'a str),
    /// Bytes that only the application knows the meaning of.
    Binary(&'a [u8]),
}

/// What the data of a message is, without the data.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum MessageType {
    /// [`Message::Text`].
    Text,
    /// [`Message::Binary`].
    Binary,
}

impl MessageType {
    /// Returns the opcode of the message's first frame.
    #[must_use]
    pub const fn opcode(self) -> Opcode {
        match self {
            Self::Text => Opcode::Text,
            Self::Binary => Opcode::Binary,
        }
    }
}

impl<'a> Message<'a> {
    /// Returns the data, which for text is its UTF-8.
    #[must_use]
    pub const fn as_bytes(self) -> &'a [u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }

    /// Returns the text, if this is a text message.
    #[must_use]
    pub const fn as_text(self) -> Option<&'a str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Binary(_) => None,
        }
    }

    /// Returns the length of the data in bytes.
    #[must_use]
    pub const fn len(self) -> usize {
        self.as_bytes().len()
    }

    /// Returns whether there is no data, which is a valid message.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.as_bytes().is_empty()
    }

    /// Returns whether this is a text message, empty or not.
    #[must_use]
    pub const fn is_text(self) -> bool {
        matches!(self, Self::Text(_))
    }

    /// Returns whether this is a binary message, empty or not.
    #[must_use]
    pub const fn is_binary(self) -> bool {
        matches!(self, Self::Binary(_))
    }

    /// Returns the type, which is the same in every [`Piece`] of a message.
    #[must_use]
    pub const fn message_type(self) -> MessageType {
        match self {
            Self::Text(_) => MessageType::Text,
            Self::Binary(_) => MessageType::Binary,
        }
    }

    /// Returns the opcode of the message's first frame.
    #[must_use]
    pub const fn opcode(self) -> Opcode {
        self.message_type().opcode()
    }
}

impl<'a> From<&'a str> for Message<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a String> for Message<'a> {
    fn from(text: &'a String) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a [u8]> for Message<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::Binary(bytes)
    }
}

impl<'a, const N: usize> From<&'a [u8; N]> for Message<'a> {
    fn from(bytes: &'a [u8; N]) -> Self {
        Self::Binary(bytes)
    }
}

impl<'a> From<&'a Vec<u8>> for Message<'a> {
    fn from(bytes: &'a Vec<u8>) -> Self {
        Self::Binary(bytes)
    }
}

/// Part of a message that is received or sent bit by bit.
///
/// The pieces of a message, in order and one after the other, are the message. They need not be
/// its frames: RFC 6455 §5.4 lets intermediaries regroup those. No piece of text ends inside a
/// character.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Piece<'a> {
    /// The data of this piece, of the same type in every piece of a message.
    pub message: Message<'a>,
    /// Whether the message begins here.
    pub first: bool,
    /// Whether the message ends here. Only such a piece, when received, can be empty.
    pub last: bool,
}

impl<'a> From<Message<'a>> for Piece<'a> {
    /// Makes a whole message one piece, both first and last.
    fn from(message: Message<'a>) -> Self {
        Self { message, first: true, last: true }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_text_and_bytes_are_binary() {
        assert_eq!(Message::from("€"), Message::Text("€"));
        assert_eq!(Message::from(&String::from("€")), Message::Text("€"));
        assert_eq!(Message::from(b"x"), Message::Binary(b"x"));
        assert_eq!(Message::from(&b"x"[..]), Message::Binary(b"x"));
        assert_eq!(Message::from(&vec![b'x']), Message::Binary(b"x"));
    }

    #[test]
    fn length_is_in_bytes_and_an_empty_message_keeps_its_type() {
        let (text, binary) = (Message::Text("€"), Message::Binary(b""));
        assert_eq!((text.len(), text.is_empty(), text.as_text()), (3, false, Some("€")));
        assert_eq!((binary.len(), binary.is_empty(), binary.as_text()), (0, true, None));
        assert!(text.is_text() && !text.is_binary() && text.opcode() == Opcode::Text);
        assert!(binary.is_binary() && !binary.is_text() && binary.opcode() == Opcode::Binary);
    }
}
