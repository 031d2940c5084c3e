use proptest::prelude::*;

use super::*;

/// Scheme, `Host`, port and resource name.
fn parts(text: &str) -> Result<(bool, String, u16, String), UrlError> {
    let url = WsUrl::parse(text)?;
    Ok((url.is_secure(), url.host_field(), url.port(), url.resource_name().to_owned()))
}

#[track_caller]
fn check(text: &str, host: &str, port: u16, resource_name: &str) {
    let secure = text.len() > 2 && text[2..].starts_with(['s', 'S']);
    let expected = (secure, host.to_owned(), port, resource_name.to_owned());
    assert_eq!(parts(text), Ok(expected), "{text}");
}

#[track_caller]
fn fails(text: &str, error: UrlError) {
    assert_eq!(parts(text), Err(error), "{text:?}");
}

#[test]
fn the_scheme_is_ws_or_wss_in_any_case() {
    check("ws://h/", "h", 80, "/");
    check("WS://h/", "h", 80, "/");
    check("wSs://h/", "h", 443, "/");
    for text in ["http://h/", "HTTPS://h/"] {
        fails(text, UrlError::Http);
    }
    for text in ["ftp://h/", "w://h/", "wsss://h/", "//h/", "h", "", "://h", "+ws://h/", "/ws://h"]
    {
        fails(text, UrlError::Scheme);
    }
    for text in ["ws:h/", "ws:/h/", "ws:", "wss:h:80"] {
        fails(text, UrlError::NoAuthority);
    }
}

#[test]
fn the_port_is_1_to_65535_or_the_default() {
    check("ws://h:", "h", 80, "/");
    check("wss://h:/", "h", 443, "/");
    check("ws://h:80/", "h", 80, "/");
    check("ws://h:443/", "h:443", 443, "/");
    check("wss://h:80/", "h:80", 80, "/");
    check("ws://h:65535/", "h:65535", 65535, "/");
    check("ws://h:0081/", "h:81", 81, "/");
    for port in ["0", "00", "65536", "0x50", "+80", "-1", "1:2", "x", "99999999999", "8%30"] {
        fails(&format!("ws://h:{port}/"), UrlError::Port);
    }
    fails("ws://h:8 0/", UrlError::Space { at: 8 });
}

#[test]
fn the_resource_name_is_path_and_query_as_they_are_written() {
    for (text, expected) in [
        ("ws://h", "/"),
        ("ws://h?x=1", "/?x=1"),
        ("ws://h/a?", "/a"),
        ("ws://h?", "/"),
        ("ws://h//a/../b/./", "//a/../b/./"),
        ("ws://h/a?b?c/d", "/a?b?c/d"),
        ("ws://h/%23", "/%23"),
        ("ws://h/%e9%C3;v=1,2:@!$&'()*+", "/%e9%C3;v=1,2:@!$&'()*+"),
        ("ws://h/a@b:1", "/a@b:1"),
        ("ws://h/?u=ws://x/", "/?u=ws://x/"),
        ("ws://h/?list[]=1", "/?list[]=1"),
        ("ws://h/.well-known/x", "/.well-known/x"),
    ] {
        check(text, "h", 80, expected);
    }
}

#[test]
fn fragments_are_refused_even_empty_ones() {
    fails("ws://h/#", UrlError::Fragment { at: 7 });
    fails("ws://h/#f", UrlError::Fragment { at: 7 });
    fails("ws://h/a?b#c", UrlError::Fragment { at: 10 });
    fails("ws://h#@x/", UrlError::Fragment { at: 6 });
}

#[test]
fn user_information_takes_permission() {
    for text in ["ws://u:p@h/", "ws://u@h/", "ws://@h/", "ws://:@h/"] {
        fails(text, UrlError::UserInformation);
    }
    let url = WsUrl::parse_with_credentials("wss://a%40b:p%3A%20:@h:1/x").unwrap();
    let credentials = url.credentials().unwrap();
    assert_eq!((credentials.name(), credentials.password()), ("a@b", "p: :"));
    assert_eq!((url.host_field().as_str(), url.to_string().as_str()), ("h:1", "wss://h:1/x"));
    for text in ["ws://a%3Ab:p@h/", "ws://u:%0D%0A@h/", "ws://u:%ff@h/"] {
        assert_eq!(WsUrl::parse_with_credentials(text), Err(UrlError::Credentials), "{text}");
    }
    // Whoever reads the first @ or the last one: this goes to no host but the one both see.
    assert_eq!(WsUrl::parse_with_credentials("ws://u@good@evil/"), Err(UrlError::Host));
}

#[test]
fn the_host_is_a_name_or_an_address() {
    for host in ["h", "a.example", "xn--bcher-kva.example", "1.2.3.4", "A_b-c~1.", "localhost"] {
        check(&format!("ws://{host}/"), host, 80, "/");
    }
    check("ws://[::1]:9/", "[::1]:9", 9, "/");
    check("wss://[2001:DB8::7]", "[2001:DB8::7]", 443, "/");
    assert_eq!(WsUrl::parse("ws://[::1]:9/").unwrap().server_name(), "::1");
    assert_eq!(WsUrl::parse("ws://h:9/").unwrap().server_name(), "h");
    for text in ["ws://", "ws:///x", "ws://:80/", "ws://?x", "ws:////h"] {
        fails(text, UrlError::NoHost);
    }
    for text in ["ws://[::1/", "ws://[]/", "ws://[1.2.3.4]/", "ws://[v1.a]/", "ws://[::g]/"] {
        fails(text, UrlError::Ipv6Address);
    }
    fails("ws://[fe80::1%25eth0]/", UrlError::ZoneIdentifier);
    fails("ws://[::1]x/", UrlError::Port);
    for text in ["ws://a,b/", "ws://a%41/", "ws://[::1]]/", "ws://a[b/"] {
        let error = parts(text).unwrap_err();
        assert!(matches!(error, UrlError::Host | UrlError::Port), "{text}: {error}");
    }
    check(&format!("ws://{}/", "h".repeat(255)), &"h".repeat(255), 80, "/");
    fails(&format!("ws://{}/", "h".repeat(256)), UrlError::Host);
    for text in ["ws://::1/", "ws://h:1:2/"] {
        let error = parts(text).unwrap_err();
        assert!(matches!(error, UrlError::NoHost | UrlError::Port), "{text}: {error}");
    }
}

#[test]
fn what_no_url_contains_is_refused_with_its_place() {
    for byte in (0..b' ').chain([0x7F]) {
        let text = format!("ws://h/a{}b", char::from(byte));
        fails(&text, UrlError::Control { at: 8 });
        fails(&format!("ws://h{}/", char::from(byte)), UrlError::Control { at: 6 });
    }
    fails("ws://h/a\r\nX: y", UrlError::Control { at: 8 });
    fails("ws://h/a b", UrlError::Space { at: 8 });
    fails(" ws://h/", UrlError::Space { at: 0 });
    fails("ws://h/ ", UrlError::Space { at: 7 });
    for character in "\"<>\\^{}`|".chars() {
        fails(&format!("ws://h/a{character}"), UrlError::Character { at: 8 });
        fails(&format!("ws://h/?{character}"), UrlError::Character { at: 8 });
        fails(&format!("ws://h{character}/"), UrlError::Character { at: 6 });
    }
    fails("ws://b\u{fc}cher.example/", UrlError::NotAscii { at: 6 });
    fails("ws://h/\u{e9}", UrlError::NotAscii { at: 7 });
    for text in ["ws://h/%", "ws://h/%4", "ws://h/%zz", "ws://h/%00", "ws://h/%4g"] {
        fails(text, UrlError::PercentEncoding { at: 7 });
    }
}

#[test]
fn an_error_says_what_is_there_and_what_was_expected() {
    for (text, expected) in [
        ("http://h/", "an http:// or https:// URL, expected ws:// or wss://"),
        ("ws://h:0/", "invalid port, expected a number from 1 to 65535"),
        ("ws://h/#", "a fragment, expected none, or %23, at byte 7 of the URL"),
        (
            "ws://h/%zz",
            "expected two hexadecimal digits other than 00 after %, at byte 7 of the URL",
        ),
    ] {
        assert_eq!(parts(text).unwrap_err().to_string(), expected);
    }
}

/// RFC 3986 §5.4, as far as it applies: `http://a/b/c/d;p?q` is what references are relative to.
#[test]
fn references_are_resolved_as_the_examples_of_rfc_3986() {
    let base = WsUrl::parse("ws://a/b/c/d;p?q").unwrap();
    for (reference, expected) in [
        ("g", "/b/c/g"),
        ("./g", "/b/c/g"),
        ("g/", "/b/c/g/"),
        ("/g", "/g"),
        ("?y", "/b/c/d;p?y"),
        ("g?y", "/b/c/g?y"),
        (";x", "/b/c/;x"),
        ("g;x", "/b/c/g;x"),
        ("", "/b/c/d;p?q"),
        (".", "/b/c/"),
        ("./", "/b/c/"),
        ("..", "/b/"),
        ("../", "/b/"),
        ("../g", "/b/g"),
        ("../..", "/"),
        ("../../", "/"),
        ("../../g", "/g"),
        ("../../../g", "/g"),
        ("../../../../g", "/g"),
        ("/./g", "/g"),
        ("/../g", "/g"),
        ("g.", "/b/c/g."),
        (".g", "/b/c/.g"),
        ("g..", "/b/c/g.."),
        ("..g", "/b/c/..g"),
        ("./../g", "/b/g"),
        ("./g/.", "/b/c/g/"),
        ("g/./h", "/b/c/g/h"),
        ("g/../h", "/b/c/h"),
        ("g;x=1/./y", "/b/c/g;x=1/y"),
        ("g;x=1/../y", "/b/c/y"),
        ("g?y/./x", "/b/c/g?y/./x"),
        ("g?y/../x", "/b/c/g?y/../x"),
    ] {
        let resolved = base.resolve(reference).unwrap();
        assert_eq!(resolved.resource_name(), expected, "{reference}");
        assert_eq!(resolved.host_field(), "a");
    }
    assert_eq!(base.resolve("//g").unwrap().to_string(), "ws://g/");
    assert_eq!(base.resolve("g:h"), Err(UrlError::Scheme));
}

proptest! {
    /// RFC 6455 §4.1: no URL that is accepted leads to a line end or a space on the wire.
    #[test]
    fn what_is_accepted_is_safe_to_write(text in "wss?://\\PC{0,8}[\\x00-\\x7f]{0,12}") {
        if let Ok(url) = WsUrl::parse_with_credentials(&text) {
            let written = url.host_field() + url.resource_name();
            prop_assert!(written.bytes().all(|byte| byte.is_ascii_graphic()));
            prop_assert!(url.resource_name().starts_with('/') && !url.host().is_empty());
            // What is shown is the same URL again, but for credentials.
            let shown = WsUrl::parse(&url.to_string()).unwrap();
            prop_assert_eq!(WsUrl { credentials: None, ..url }, shown);
        }
    }

    #[test]
    fn no_reference_is_too_strange(reference in "[a-z:/?.%#@\\[\\]0-9]{0,20}|\\PC*") {
        let base = WsUrl::parse("ws://a/b/c?q").unwrap();
        if let Ok(url) = base.resolve(&reference) {
            prop_assert!(url.resource_name().starts_with('/'));
            prop_assert_eq!(WsUrl::parse(&url.to_string()), Ok(url));
        }
    }
}
