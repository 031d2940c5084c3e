//! permessage-deflate, RFC 7692, apart from how it is negotiated.
//!
//! Here are the two halves of §7.2, from message to payload and back, which know nothing of frames.
//! A payload is a DEFLATE stream that was flushed and then lost its last four bytes, those of an
//! empty block: `00 00 FF FF`.

mod compress;
mod compressor;
mod decompressor;
mod parameters;

#[cfg(any(feature = "client", feature = "event-loop"))]
pub(crate) use self::compressor::{DEFAULT_LEVEL, DEFAULT_MEMORY_LEVEL};
pub(crate) use self::decompressor::Corrupt;
pub use self::{
    compress::Compress,
    compressor::{Compressor, CompressorOptions},
    decompressor::Decompressor,
    parameters::DeflateParameters,
};

/// What each payload is without (§7.2.1), and is complete with (§7.2.2): an empty block that is not
/// compressed, but for its header.
const TAIL: [u8; 4] = [0x00, 0x00, 0xFF, 0xFF];

#[cfg(test)]
mod tests;
