//! RFC 6455 §4: the opening handshake, as values.
