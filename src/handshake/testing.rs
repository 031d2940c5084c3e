//! What the tests of this layer share: requests to send, and ways to deliver them.

use super::{HeadBuffer, HeadLimits, Refusal};

/// A request that is upgraded, RFC 6455 §1.2, in parts that tests may change.
#[derive(Clone, Debug)]
pub(super) struct Handshake {
    pub(super) line: String,
    pub(super) fields: Vec<(String, Vec<u8>)>,
}

impl Handshake {
    pub(super) fn new() -> Self {
        let fields = [
            ("Host", "server.example.com"),
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ("Sec-WebSocket-Version", "13"),
        ];
        let fields = fields.map(|(name, value)| (name.to_owned(), value.into()));
        Self { line: "GET /chat HTTP/1.1".to_owned(), fields: fields.into() }
    }

    /// The same with another request line.
    pub(super) fn line(self, line: &str) -> Self {
        Self { line: line.to_owned(), ..self }
    }

    /// The same with these lines for a field instead of those it had, if any.
    pub(super) fn with<V: AsRef<[u8]>>(mut self, name: &str, values: &[V]) -> Self {
        let at = self.fields.iter().position(|(it, _)| it.eq_ignore_ascii_case(name));
        let at = at.unwrap_or(self.fields.len());
        self.fields.retain(|(it, _)| !it.eq_ignore_ascii_case(name));
        let values = values.iter().map(|value| (name.to_owned(), value.as_ref().to_vec()));
        self.fields.splice(at..at, values);
        self
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut head = format!("{}\r\n", self.line).into_bytes();
        for (name, value) in &self.fields {
            head.extend_from_slice(&[name.as_bytes(), b": ", value, b"\r\n"].concat());
        }
        [&head[..], b"\r\n"].concat()
    }
}

/// Delivers pieces until the head is complete or refused.
///
/// Returns the head, `None` if there was too little, and how many bytes were taken.
pub(super) fn deliver<'p>(
    pieces: impl IntoIterator<Item = &'p [u8]>,
    limits: &HeadLimits,
) -> (Result<Option<Vec<u8>>, Refusal>, usize) {
    let mut head = HeadBuffer::new();
    let mut taken = 0;
    for mut piece in pieces {
        let length = piece.len();
        let complete = head.receive(&mut piece, limits);
        taken += length - piece.len();
        assert!(head.head().len() <= limits.max_head_size, "no more is held than allowed");
        match complete {
            Ok(false) => assert!(piece.is_empty(), "what comes too early is taken all the same"),
            Ok(true) => return (Ok(Some(head.head().to_vec())), taken),
            Err(refusal) => return (Err(refusal), taken),
        }
    }
    (Ok(None), taken)
}

/// Delivers `input` whole, byte by byte, and cut in two; all must come to the same.
///
/// It is cut at every place, unless it is so long that five hundred must do.
#[track_caller]
pub(super) fn deliver_in_all_ways(
    input: &[u8],
    limits: &HeadLimits,
) -> Result<Option<Vec<u8>>, Refusal> {
    let expected = deliver([input], limits);
    assert_eq!(deliver(input.chunks(1), limits), expected, "byte by byte");
    for middle in (0..input.len()).step_by(1 + input.len() / 500) {
        let (first, second) = input.split_at(middle);
        assert_eq!(deliver([first, second], limits), expected, "cut at {middle}");
    }
    expected.0
}
