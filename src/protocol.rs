//! RFC 6455 framing, as values: bytes in, events out, bytes out.
