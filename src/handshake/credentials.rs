//! A name and a password, as HTTP's Basic authentication (RFC 7617) and SOCKS take them.

use core::{error::Error, fmt};

use base64::{Engine, engine::general_purpose::STANDARD};

use super::parameters::percent_decode;

/// A name and a password.
///
/// They are shown to the server or proxy they are meant for and to nobody else: not to where it
/// redirects, and not in `Debug`.
#[derive(Clone, Eq, PartialEq)]
pub struct Credentials {
    name: Box<str>,
    password: Box<str>,
}

/// A name or password that cannot be sent: with a control character, or a colon in the name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct InvalidCredentials;

impl Credentials {
    /// Creates credentials.
    ///
    /// # Errors
    ///
    /// Fails if either contains a control character, or the name a colon (RFC 7617 §2).
    pub fn new(name: &str, password: &str) -> Result<Self, InvalidCredentials> {
        let control = name.chars().chain(password.chars()).any(char::is_control);
        if control || name.contains(':') {
            return Err(InvalidCredentials);
        }
        Ok(Self { name: name.into(), password: password.into() })
    }

    /// Takes the user information of a URL, `name:password`, percent-encoded, RFC 3986 §3.2.1.
    pub(super) fn from_user_information(text: &str) -> Result<Self, InvalidCredentials> {
        // The first colon separates, encoded ones do not.
        let (name, password) = text.split_once(':').unwrap_or((text, ""));
        let decode = |text| percent_decode(text).ok_or(InvalidCredentials);
        Self::new(&decode(name)?, &decode(password)?)
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The password.
    pub fn password(&self) -> &str {
        &self.password
    }

    /// The value of `Authorization` or `Proxy-Authorization`.
    pub(super) fn basic(&self) -> String {
        format!("Basic {}", STANDARD.encode(format!("{}:{}", self.name, self.password)))
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(..)")
    }
}

impl fmt::Display for InvalidCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected a name without a colon, and no control characters")
    }
}

impl Error for InvalidCredentials {}

#[cfg(test)]
mod tests {
    use super::*;

    fn basic(user_information: &str) -> Option<String> {
        Credentials::from_user_information(user_information).ok().map(|it| it.basic())
    }

    #[test]
    fn user_information_is_decoded_after_it_is_split() {
        // RFC 7617 §2 and §2.1.
        assert_eq!(
            basic("Aladdin:open%20sesame").as_deref(),
            Some("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==")
        );
        assert_eq!(basic("test:123%C2%A3").as_deref(), Some("Basic dGVzdDoxMjPCow=="));
        assert_eq!(basic("u:p").as_deref(), Some("Basic dTpw"));
        assert_eq!(basic("u"), basic("u:"));
        let colons = Credentials::from_user_information("u:p:%3a:").unwrap();
        assert_eq!((colons.name(), colons.password()), ("u", "p:::"));
    }

    #[test]
    fn what_basic_authentication_cannot_say_is_refused() {
        for text in ["a%3Ab:p", "a%0D%0A:p", "a:%00", "a:%7f", "a:%C2%85", "%FF:p", "a:%", "%4:p"] {
            assert_eq!(basic(text), None, "{text}");
        }
    }

    #[test]
    fn passwords_are_not_shown() {
        let credentials = Credentials::new("alice", "secret").unwrap();
        assert_eq!(format!("{credentials:?}"), "Credentials(..)");
    }
}
