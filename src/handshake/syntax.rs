//! What the grammars of HTTP and of URIs are made of. Everything is octets; nothing here can fail.

/// Whether `byte` may be part of a token, RFC 9110 §5.6.2.
///
/// RFC 6455 takes its tokens from RFC 2616, which allows the same bytes.
pub(super) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Whether `text` is a token.
pub(super) fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|&byte| is_token_byte(byte))
}

/// Whether `byte` is optional whitespace, RFC 9110 §5.6.3.
pub(super) fn is_whitespace(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// Returns `value` without the whitespace around it, which RFC 9110 §5.5 says is not part of it.
pub(super) fn trim(mut value: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = value
        && is_whitespace(*first)
    {
        value = rest;
    }
    while let [rest @ .., last] = value
        && is_whitespace(*last)
    {
        value = rest;
    }
    value
}

/// Returns the elements of a comma-separated list, RFC 9110 §5.6.1, without the empty ones.
pub(super) fn elements(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    list.split(|&byte| byte == b',').map(trim).filter(|element| !element.is_empty())
}

/// Whether `text` consists of percent-encoded octets and of bytes that are `allowed`, RFC 3986
/// §2.1.
///
/// An encoded NUL is refused: it is of no use, and cuts strings short elsewhere.
pub(super) fn is_uri_text(text: &str, allowed: impl Fn(u8) -> bool) -> bool {
    let mut rest = text.as_bytes();
    loop {
        rest = match rest {
            [] => return true,
            [b'%', b'0', b'0', ..] => return false,
            [b'%', high, low, rest @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                rest
            }
            [byte, rest @ ..] if allowed(*byte) => rest,
            _ => return false,
        };
    }
}

/// Whether `byte` never needs encoding in a URI, RFC 3986 §2.3.
pub(super) fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

/// Whether `byte` delimits parts of a component of a URI, RFC 3986 §2.2.
pub(super) fn is_subcomponent_delimiter(byte: u8) -> bool {
    b"!$&'()*+,;=".contains(&byte)
}

/// Whether `byte` may be in a path or a query, where `[` and `]` are commonly found as well.
///
/// `#` is not among these.
pub(super) fn is_target_byte(byte: u8) -> bool {
    is_unreserved(byte) || is_subcomponent_delimiter(byte) || b":@/?[]".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_visible_ascii_without_separators() {
        let separators = b"()<>@,;:\\\"/[]?={} \t";
        for byte in 0..=u8::MAX {
            let expected = (0x21..0x7F).contains(&byte) && !separators.contains(&byte);
            assert_eq!(is_token_byte(byte), expected, "{byte:#04x}");
        }
        assert!(!is_token(b""));
    }

    #[test]
    fn empty_list_elements_are_ignored() {
        let list = |text: &'static str| elements(text.as_bytes()).collect::<Vec<_>>();
        assert_eq!(list(",, a\t,b c,, \t,"), [&b"a"[..], b"b c"]);
        assert_eq!(list(""), [b""; 0]);
        assert_eq!(list(" ,\t, "), [b""; 0]);
    }

    #[test]
    fn percent_encoding_is_two_hexadecimal_digits_and_not_nul() {
        for text in ["", "a", "%41", "%fF%2f"] {
            assert!(is_uri_text(text, is_unreserved), "{text}");
        }
        for text in ["%", "%4", "%zz", "%4g", "%00", "a%", "é", "%C3é", "/"] {
            assert!(!is_uri_text(text, is_unreserved), "{text}");
        }
    }
}
