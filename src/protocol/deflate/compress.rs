//! Which messages are compressed.

/// Whether a message is compressed, where that was agreed on.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Compress {
    /// If it is long enough: the threshold is among the settings.
    #[default]
    Auto,
    /// However short it is.
    ///
    /// Without context takeover, it still goes as it is if compressing does not make it smaller.
    Always,
    /// Never: for what is compressed already, and for secrets.
    ///
    /// Whoever can have their own data compressed together with a secret can guess it, from how
    /// long what is sent becomes, even if that is encrypted (RFC 7692 §8).
    Never,
}

impl Compress {
    /// Whether a message of so many bytes is to be compressed.
    pub(crate) const fn applies(self, len: usize, threshold: usize) -> bool {
        match self {
            Self::Auto => len >= threshold,
            Self::Always => true,
            Self::Never => false,
        }
    }
}
