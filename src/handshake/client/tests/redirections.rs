//! Servers that say where else to go.

use super::*;

fn redirection(location: &str) -> ServerRefusal {
    refused(format!("HTTP/1.1 302 x\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n"))
}

/// Where a redirection leads.
fn redirected(from: &str, location: &str) -> Result<String, RedirectError> {
    let request = request(from).redirected(&redirection(location))?;
    Ok(request.url().to_string())
}

#[test]
fn a_location_is_resolved_against_the_url() {
    let from = "ws://h:81/a/b?q";
    for (location, expected) in [
        ("ws://x/y?z", "ws://x/y?z"),
        ("WSS://x", "wss://x/"),
        ("http://x/", "ws://x/"),
        ("https://h:81/", "wss://h:81/"),
        ("//x/y", "ws://x/y"),
        ("/c", "ws://h:81/c"),
        ("/c/../d?", "ws://h:81/d"),
        ("c", "ws://h:81/a/c"),
        ("../c?d=/../e", "ws://h:81/c?d=/../e"),
        ("?r", "ws://h:81/a/b?r"),
        ("", "ws://h:81/a/b?q"),
    ] {
        assert_eq!(redirected(from, location).as_deref(), Ok(expected), "{location}");
    }
    assert_eq!(redirected("wss://h/", "//x").as_deref(), Ok("wss://x/"));
}

#[test]
fn a_location_is_as_valid_as_any_url() {
    for (location, error) in [
        ("ftp://x/", UrlError::Scheme),
        ("javascript:alert(1)", UrlError::Scheme),
        ("ws:/x", UrlError::NoAuthority),
        ("ws://", UrlError::NoHost),
        ("///x", UrlError::NoHost),
        ("//u:p@x/", UrlError::UserInformation),
        ("http://u@x/", UrlError::UserInformation),
        ("/a#b", UrlError::Fragment { at: 2 }),
        ("/a b", UrlError::Space { at: 2 }),
        ("/é", UrlError::NotAscii { at: 1 }),
        ("\\\\x", UrlError::Character { at: 0 }),
        ("ws://x:0/", UrlError::Port),
    ] {
        assert_eq!(redirected("ws://h/", location), Err(RedirectError::Location(error)));
    }
}

#[test]
fn a_redirection_has_its_status_and_one_location() {
    let follow = |head: &str| {
        let answer = format!("HTTP/1.1 {head}\r\nContent-Length: 0\r\n\r\n");
        request("ws://h/").redirected(&refused(answer)).map(|_| ())
    };
    for status in [301, 302, 303, 307, 308] {
        assert_eq!(follow(&format!("{status} x\r\nLocation: /")), Ok(()), "{status}");
    }
    for status in [200, 201, 300, 304, 305, 306, 309, 401] {
        let followed = follow(&format!("{status} x\r\nLocation: /"));
        assert_eq!(followed, Err(RedirectError::Status), "{status}");
    }
    assert_eq!(follow("302 x"), Err(RedirectError::NoLocation));
    assert_eq!(follow("302 x\r\nLocation: /\r\nLocation: /"), Err(RedirectError::NoLocation));
}

#[test]
fn no_redirection_leads_out_of_tls() {
    for location in ["ws://h/", "http://h/", "ws://h:443/", "http://x"] {
        assert_eq!(redirected("wss://h/", location), Err(RedirectError::Downgrade));
    }
    assert!(redirected("wss://h/", "https://x").is_ok());
}

#[test]
fn a_circle_has_an_end() {
    let mut request = request("ws://h/");
    for round in 0..5 {
        request = request.redirected(&redirection("/")).unwrap_or_else(|e| panic!("{round} {e}"));
    }
    assert_eq!(request.redirected(&redirection("/")).err(), Some(RedirectError::TooMany));
}

#[test]
fn secrets_stay_with_the_server_they_are_for() {
    let original = request("ws://u:p@h/a")
        .subprotocol("sub")
        .unwrap()
        .extension("ext")
        .unwrap()
        .header("X-Api-Key", "secret")
        .unwrap()
        .cookie("session", "secret")
        .unwrap();
    let follow = |location: &str| encode(&original.redirected(&redirection(location)).unwrap());
    for location in ["/b", "ws://h/b", "http://H:80/b", "//h/b", "b"] {
        let expected = encode(&original).replace("/a", "/b");
        let same = follow(location).replace("Host: H\r", "Host: h\r");
        assert_eq!(same, expected, "{location}");
    }
    for location in ["wss://h/b", "ws://h:81/b", "ws://x/b", "ws://h.x/b", "https://h:80/b"] {
        let other = follow(location);
        for secret in ["secret", "Authorization", "Cookie", "X-Api-Key"] {
            assert!(!other.contains(secret), "{location}: {other}");
        }
        assert!(other.contains("Protocol: sub\r\n") && other.contains("Extensions: ext\r\n"));
    }
    // What was lost on the way does not come back.
    let away = original.redirected(&redirection("ws://x/")).unwrap();
    let back = encode(&away.redirected(&redirection("ws://h/a")).unwrap());
    assert!(!back.contains("Authorization") && !back.contains("secret"), "{back}");
    // An Authorization field that was set goes the same way.
    let bearer = request("ws://h/").header("Authorization", "Bearer secret").unwrap();
    let other = encode(&bearer.redirected(&redirection("ws://x/")).unwrap());
    assert!(!other.contains("Bearer"), "{other}");
}
