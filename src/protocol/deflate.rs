//! permessage-deflate, RFC 7692, apart from how it is negotiated.

mod parameters;

pub use self::parameters::DeflateParameters;
