//! `Sec-WebSocket-Protocol`: what clients offer to speak on top of WebSocket, RFC 6455 §1.9.

use super::refusal::Refusal;
use super::syntax::{elements, is_token};

/// The subprotocols a client offers, in its order of preference, as they were written.
#[derive(Clone, Debug, Default)]
pub(super) struct Subprotocols {
    /// All lines joined with commas, valid. No element is held on its own: however many there are,
    /// they take no more memory than the head did.
    list: String,
}

impl Subprotocols {
    /// Checks the fields' values: distinct tokens, one at least if there is a field at all.
    pub(super) fn parse<'h>(lines: impl Iterator<Item = &'h [u8]>) -> Result<Self, Refusal> {
        let mut list = String::new();
        let mut present = false;
        for line in lines {
            present = true;
            list.push_str(str::from_utf8(line).map_err(|_| Refusal::Subprotocols)?);
            list.push(',');
        }
        let subprotocols = Self { list };
        if present && !subprotocols.is_valid() {
            return Err(Refusal::Subprotocols);
        }
        Ok(subprotocols)
    }

    /// Appends a subprotocol, unless it is no token or is there already. Returns whether it is
    /// appended.
    #[must_use]
    pub(super) fn push(&mut self, name: &str) -> bool {
        let valid = is_token(name.as_bytes()) && !self.contain(name);
        if valid {
            self.list.push_str(name);
            self.list.push(',');
        }
        valid
    }

    /// The offered subprotocols, the preferred one first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &str> {
        self.list.split(',').map(str::trim_ascii).filter(|element| !element.is_empty())
    }

    /// Whether `subprotocol` was offered. Case matters.
    pub(super) fn contain(&self, subprotocol: &str) -> bool {
        self.iter().any(|offered| offered == subprotocol)
    }

    fn is_valid(&self) -> bool {
        let mut sorted: Vec<_> = elements(self.list.as_bytes()).collect();
        // §4.1: the elements "MUST all be unique strings". Sorted, equal ones are neighbours.
        sorted.sort_unstable();
        let unique = sorted.windows(2).all(|pair| pair[0] != pair[1]);
        unique && !sorted.is_empty() && sorted.iter().all(|element| is_token(element))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(lines: &[&str]) -> Option<Vec<String>> {
        let parsed = Subprotocols::parse(lines.iter().map(|line| line.as_bytes())).ok()?;
        Some(parsed.iter().map(String::from).collect())
    }

    #[test]
    fn lines_make_up_one_list_in_order_of_preference() {
        let expected = Some(vec!["b".to_owned(), "a.v1".to_owned()]);
        for lines in
            [&["b, a.v1"][..], &["b,a.v1"], &["b", "a.v1"], &[",b,,\ta.v1 ,"], &["", "b,", ",a.v1"]]
        {
            assert_eq!(parse(lines), expected, "{lines:?}");
        }
        assert_eq!(parse(&[]), Some(vec![]));
        assert_eq!(parse(&["a, A"]).map(|list| list.len()), Some(2), "case matters");
    }

    #[test]
    fn anything_but_distinct_tokens_is_refused() {
        for lines in [
            &[""][..],
            &[",, ,"],
            &["a b"],
            &["a;x"],
            &["a/b"],
            &["é"],
            &["a", "b=c"],
            &["a, a"],
            &["a", "b,a"],
        ] {
            assert_eq!(parse(lines), None, "{lines:?}");
        }
        assert!(Subprotocols::parse([&b"\x80"[..]].into_iter()).is_err());
    }
}
