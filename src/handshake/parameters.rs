//! What a client says of itself in the query of its target, and in its cookies.

use std::borrow::Cow;

/// The value of the first parameter of that name in a query, decoded as forms encode it.
///
/// Returns `None` if there is none, or if it is malformed or not UTF-8.
pub(super) fn query_value<'q>(query: &'q str, name: &str) -> Option<Cow<'q, str>> {
    query.split('&').find_map(|parameter| {
        let (key, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        (form_decode(key)? == name).then(|| form_decode(value))
    })?
}

/// The value of the first cookie of that name in a `Cookie` field, RFC 6265 §5.4.
pub(super) fn cookie<'f>(field: &'f str, name: &str) -> Option<&'f str> {
    field.split(';').find_map(|cookie| {
        let (key, value) = cookie.split_once('=')?;
        (key.trim_matches([' ', '\t']) == name).then(|| value.trim_matches([' ', '\t']))
    })
}

/// Decodes a name or a value of a form: percent-encoding, with `+` for a space.
fn form_decode(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains(['%', '+']) {
        return Some(text.into());
    }
    percent_decode(&text.replace('+', " ")).map(Cow::Owned)
}

/// Decodes percent-encoding, or returns `None` if it is malformed or does not come to UTF-8.
pub(super) fn percent_decode(text: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let (digits, after) = rest.split_at_checked(2)?;
        let digit = |byte: u8| char::from(byte).to_digit(16);
        let value = digit(digits[0])? << 4 | digit(digits[1])?;
        decoded.push(u8::try_from(value).ok()?);
        rest = after;
    }
    String::from_utf8(decoded).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_a_form() {
        let value = |query, name| query_value(query, name).map(Cow::into_owned);
        for (query, name, expected) in [
            ("user=ada", "user", Some("ada")),
            ("a=1&user=ada&user=bob", "user", Some("ada")),
            ("user=Ada+Lovelace", "user", Some("Ada Lovelace")),
            ("user=%41da%20%2B%26%3D", "user", Some("Ada +&=")),
            ("us%65r=ada", "user", Some("ada")),
            ("user", "user", Some("")),
            ("user=", "user", Some("")),
            ("user=a=b", "user", Some("a=b")),
            ("user=caf%C3%A9", "user", Some("café")),
            ("", "user", None),
            ("users=ada&User=ada", "user", None),
            // Malformed, or no UTF-8: as if it were not there, whatever follows.
            ("user=%", "user", None),
            ("user=%4", "user", None),
            ("user=%zz&user=ada", "user", None),
            ("user=%FF", "user", None),
            ("%FF=1&user=ada", "user", Some("ada")),
        ] {
            assert_eq!(value(query, name).as_deref(), expected, "{query:?}");
        }
        assert!(matches!(query_value("user=ada", "user"), Some(Cow::Borrowed("ada"))));
    }

    #[test]
    fn a_cookie_is_found_by_its_name() {
        for (field, expected) in [
            ("id=7", Some("7")),
            ("a=1; id=7; b=2", Some("7")),
            ("a=1;id=7", Some("7")),
            ("id=a=b", Some("a=b")),
            ("id=\"7\"", Some("\"7\"")),
            ("id=", Some("")),
            ("id=7; id=8", Some("7")),
            ("xid=7; ID=7; id", None),
            ("", None),
        ] {
            assert_eq!(cookie(field, "id"), expected, "{field:?}");
        }
    }
}
