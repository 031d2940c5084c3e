//! Tables of what proxies and attackers send. Trusted are 10.0.0.0/8 and 2001:db8:10::/48.

use super::super::HeadLimits;
use super::super::testing::Handshake;
use super::*;

const NETWORKS: [&str; 2] = ["10.0.0.0/8", "2001:db8:10::/48"];

/// Returns the client and the host that lines of the field lead to, from a trusted proxy.
fn locate(field: ProxyField, lines: &[&str]) -> (String, String) {
    let proxies = TrustedProxies::new(field, NETWORKS).unwrap();
    locate_from(&proxies, Some("10.0.0.1"), lines)
}

fn locate_from(proxies: &TrustedProxies, from: Option<&str>, lines: &[&str]) -> (String, String) {
    let name = match proxies.field {
        ProxyField::XForwardedFor => "X-Forwarded-For",
        ProxyField::Forwarded => "Forwarded",
    };
    let head = Handshake::new().with(name, lines).encode();
    let request = Request::parse(&head, &HeadLimits::default()).unwrap();
    let found = proxies.locate(&request, from.map(|from| from.parse().unwrap()));
    let client = found.client.map_or_else(|| "none".to_owned(), |addr| addr.to_string());
    (client, found.host.unwrap_or_default().to_owned())
}

#[track_caller]
fn check(field: ProxyField, rows: &[(&[&str], &str)]) {
    for (lines, expected) in rows {
        assert_eq!(locate(field, lines).0, *expected, "{lines:?}");
    }
}

#[test]
fn x_forwarded_for_is_followed_from_the_end_to_the_first_who_is_not_trusted() {
    check(
        ProxyField::XForwardedFor,
        &[
            (&["192.0.2.1"], "192.0.2.1"),
            (&["6.6.6.6, 192.0.2.1"], "192.0.2.1"),
            (&["6.6.6.6, 192.0.2.1, 10.2.2.2,10.3.3.3"], "192.0.2.1"),
            (&["6.6.6.6", "192.0.2.1", "10.2.2.2"], "192.0.2.1"),
            (&["6.6.6.6, 192.0.2.1", "10.2.2.2 ,\t10.3.3.3"], "192.0.2.1"),
            // All are trusted: the farthest.
            (&["10.1.1.1, 10.2.2.2"], "10.1.1.1"),
            // Nothing was said.
            (&[], "10.0.0.1"),
            (&[""], "10.0.0.1"),
            (&[",, ,", "", ","], "10.0.0.1"),
            (&["192.0.2.1,, ,", ",10.1.1.1, "], "192.0.2.1"),
        ],
    );
}

#[test]
fn addresses_come_with_and_without_ports_and_brackets() {
    check(
        ProxyField::XForwardedFor,
        &[
            (&["192.0.2.1:80"], "192.0.2.1"),
            (&["192.0.2.1:_port"], "192.0.2.1"),
            (&["2001:DB8::1"], "2001:db8::1"),
            (&["[2001:db8::1]"], "2001:db8::1"),
            (&["[2001:db8::1]:65535"], "2001:db8::1"),
            (&["2001:db8::1, [2001:db8:10::1]:80"], "2001:db8::1"),
            (&["::ffff:192.0.2.1"], "192.0.2.1"),
            (&["192.0.2.1, [::ffff:10.1.1.1]:80, ::ffff:10.1.1.1"], "192.0.2.1"),
        ],
    );
}

/// The proxy that did not say anything better is as far as anything is known.
#[test]
fn what_is_no_address_ends_the_trail() {
    for node in [
        "unknown",
        "UNKNOWN:80",
        "_hidden",
        "_",
        "localhost",
        "\"192.0.2.1\"",
        "for=192.0.2.1",
        "192.0.2.1:",
        "192.0.2.1:x",
        "192.0.2.1:+80",
        "192.0.2.1:123456",
        "192.0.2.1 192.0.2.2",
        "192.0.2.1;",
        "192.0.2",
        "192.0.2.256",
        "192.0.02.1",
        "0xC0000201",
        "3221225985",
        "192.0.2.1/32",
        "[192.0.2.1]",
        "[2001:db8::1",
        "2001:db8::1]",
        "[2001:db8::1]80",
        "[2001:db8::1]:",
        "[fe80::1%eth0]",
        "fe80::1%25eth0",
        "[]",
        ":",
        "é",
    ] {
        let lines = [&*format!("6.6.6.6, {node}, 10.1.1.1")];
        assert_eq!(locate(ProxyField::XForwardedFor, &lines).0, "10.1.1.1", "{node}");
    }
}

#[test]
fn forwarded_is_followed_as_well() {
    check(
        ProxyField::Forwarded,
        &[
            (&["for=192.0.2.1"], "192.0.2.1"),
            (&["for=6.6.6.6, For=192.0.2.1;proto=https;by=10.2.2.2"], "192.0.2.1"),
            (&["for=6.6.6.6", "by=10.1.1.1;FOR=192.0.2.1 , for=10.2.2.2"], "192.0.2.1"),
            (&["for=\"192.0.2.1:80\""], "192.0.2.1"),
            (&["for=\"[2001:db8:cafe::17]:4711\""], "2001:db8:cafe::17"),
            (&["for=\"[2001:db8:cafe::17]\", for=\"[2001:db8:10::]:_x\""], "2001:db8:cafe::17"),
            (&["for=192.0.2.1, for=\"[::ffff:10.1.1.1]\""], "192.0.2.1"),
            // Without the quotes that there should be.
            (&["for=[2001:db8:cafe::17]:4711"], "2001:db8:cafe::17"),
            (&["for=192.0.2.1:80"], "192.0.2.1"),
            // Commas and semicolons in quotes separate nothing, nor do quotes that are escaped.
            (&["for=192.0.2.1;x=\"a,b;c\", for=10.1.1.1;y=\",\\\",\\\\\""], "192.0.2.1"),
            (&["for=192.0.2.1;secret=\"\\\", for=6.6.6.6\""], "192.0.2.1"),
            (&["for=192.0.2.1 ; proto=http;\thost=a, ,", ""], "192.0.2.1"),
            (&[], "10.0.0.1"),
        ],
    );
}

#[test]
fn what_does_not_say_whom_it_is_for_ends_the_trail() {
    for element in [
        "for=unknown",
        "for=_hidden",
        "for=\"_hidden:80\"",
        "proto=http",
        "192.0.2.1",
        "for",
        "for=",
        "for=\"\"",
        "=192.0.2.1",
        "for =192.0.2.1;f r=1",
        "for= 192.0.2.1",
        "for=192.0.2.1;for=192.0.2.1",
        "for=192.0.2.1;host=a;host=a",
        "for=192.0.2.1;",
        "for=192.0.2.1;;proto=http",
        "for=192.0.2.1 proto=http",
        "for=\"192.0.2.1\"0",
        "for=\"192.0.2\\.1\"",
        "for=\"192.0.2.1",
        "for=192.0.2.1\"",
        "for=\"2001:db8::1\"x",
        "for=<192.0.2.1>",
    ] {
        let lines = [&*format!("for=6.6.6.6, {element}"), "for=10.1.1.1"];
        assert_eq!(locate(ProxyField::Forwarded, &lines).0, "10.1.1.1", "{element}");
    }
}

/// Whatever a client begins a line with, it cannot change how that is read which a proxy adds to the
/// line.
#[test]
fn nothing_in_front_changes_what_was_added_behind() {
    const PARTS: [&str; 7] = ["\"", "\\", ",", ";", "=", "for=6.6.6.6", "x"];
    let mut fronts = vec![String::new()];
    for _ in 0..4 {
        let longer = fronts.iter().flat_map(|front| PARTS.map(|part| format!("{front}{part}")));
        fronts = longer.collect();
        for front in &fronts {
            check_behind(front);
        }
    }
}

fn check_behind(front: &str) {
    for added in [
        "for=192.0.2.1",
        "for=\"192.0.2.1\";x=\"\\\\\"",
        "for=192.0.2.1;x=\"\\\"\", for=\"10.1.1.1:80\"",
    ] {
        let line = format!("{front}, {added}");
        assert_eq!(locate(ProxyField::Forwarded, &[&line]).0, "192.0.2.1", "{line}");
        let lines = [front, added];
        assert_eq!(locate(ProxyField::Forwarded, &lines).0, "192.0.2.1", "{lines:?}");
    }
}

#[test]
fn whoever_is_not_trusted_is_not_believed() {
    for field in [ProxyField::XForwardedFor, ProxyField::Forwarded] {
        let proxies = TrustedProxies::new(field, NETWORKS).unwrap();
        let host = "server.example.com".to_owned();
        for line in ["6.6.6.6", "for=6.6.6.6;host=evil"] {
            for (from, expected) in [
                (Some("192.0.2.9"), "192.0.2.9"),
                (Some("11.0.0.1"), "11.0.0.1"),
                (Some("2001:db8:11::1"), "2001:db8:11::1"),
                (Some("::ffff:192.0.2.9"), "192.0.2.9"),
                (None, "none"),
            ] {
                let found = locate_from(&proxies, from, &[line]);
                assert_eq!(found, (expected.to_owned(), host.clone()));
            }
        }
        let nobody = TrustedProxies { field, ..TrustedProxies::default() };
        for from in ["10.0.0.1", "127.0.0.1", "::1"] {
            assert_eq!(locate_from(&nobody, Some(from), &["6.6.6.6"]).0, from);
        }
        assert_eq!(locate_from(&nobody, None, &["6.6.6.6"]).0, "none");
    }
}

#[test]
fn the_other_field_is_not_looked_at() {
    let head = Handshake::new()
        .with("X-Forwarded-For", &["6.6.6.6"])
        .with("X-Forwarded-Host", &["evil"])
        .with("Forwarded", &["for=192.0.2.1;host=a"])
        .encode();
    let request = Request::parse(&head, &HeadLimits::default()).unwrap();
    for (field, client, host) in
        [(ProxyField::Forwarded, "192.0.2.1", "a"), (ProxyField::XForwardedFor, "6.6.6.6", "evil")]
    {
        let proxies = TrustedProxies::new(field, NETWORKS).unwrap();
        let found = proxies.locate(&request, Some([10, 0, 0, 1].into()));
        assert_eq!((found.client, found.host), (client.parse().ok(), Some(host)));
    }
}

#[test]
fn a_proxy_may_connect_through_a_unix_socket() {
    let proxies = TrustedProxies::new(ProxyField::XForwardedFor, NETWORKS).unwrap();
    let proxies = proxies.and_unix_sockets();
    for (line, expected) in
        [("6.6.6.6, 192.0.2.1", "192.0.2.1"), ("192.0.2.1, 10.1.1.1", "192.0.2.1"), ("?", "none")]
    {
        assert_eq!(locate_from(&proxies, None, &[line]).0, expected);
    }
    assert_eq!(locate_from(&proxies, Some("192.0.2.9"), &["6.6.6.6"]).0, "192.0.2.9");
}

#[test]
fn the_host_is_that_which_the_client_asked_for() {
    for (lines, host) in [
        (
            &["for=6.6.6.6;host=evil, for=192.0.2.1;host=\"a.example:8080\", for=10.1.1.1"][..],
            "a.example:8080",
        ),
        (&["for=192.0.2.1;host=a.example, for=10.1.1.1;host=inner"], "a.example"),
        (&["for=192.0.2.1, for=10.1.1.1;host=a.example"], "a.example"),
        (&["for=_hidden;host=a.example"], "a.example"),
        (&["for=192.0.2.1;host=evil", "garbage"], "server.example.com"),
        (&["for=192.0.2.1"], "server.example.com"),
    ] {
        assert_eq!(locate(ProxyField::Forwarded, lines).1, host, "{lines:?}");
    }
}

#[test]
fn a_host_that_is_named_more_than_once_is_nobodys() {
    let proxies = TrustedProxies::new(ProxyField::XForwardedFor, NETWORKS).unwrap();
    let own = "server.example.com";
    for (values, expected) in [
        (&[][..], own),
        (&["a.example"], "a.example"),
        (&["a.example, b.example"], own),
        (&["a.example", "b.example"], own),
    ] {
        let head = Handshake::new().with("X-Forwarded-Host", values).encode();
        let request = Request::parse(&head, &HeadLimits::default()).unwrap();
        let host = |from: [u8; 4]| proxies.locate(&request, Some(from.into())).host;
        assert_eq!(host([10, 0, 0, 1]), Some(expected), "{values:?}");
        assert_eq!(host([192, 0, 2, 1]), Some(own), "not trusted");
    }
}

#[test]
fn networks_are_prefixes() {
    let contains = |network: &str, addr: &str| {
        network.parse::<Network>().unwrap().contains(addr.parse::<IpAddr>().unwrap().to_canonical())
    };
    for (network, addr) in [
        ("0.0.0.0/0", "255.255.255.255"),
        ("10.0.0.0/8", "10.255.255.255"),
        ("10.128.0.0/9", "10.128.0.0"),
        ("192.0.2.1", "192.0.2.1"),
        ("192.0.2.1/32", "::ffff:192.0.2.1"),
        ("::ffff:192.0.2.0/120", "192.0.2.255"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("::/0", "2001:db8::1"),
        ("2001:db8::/32", "2001:db8:ffff::"),
        ("::1", "::1"),
    ] {
        assert!(contains(network, addr), "{addr} in {network}");
    }
    for (network, addr) in [
        ("10.0.0.0/8", "11.0.0.0"),
        ("10.128.0.0/9", "10.127.255.255"),
        ("192.0.2.1", "192.0.2.0"),
        ("0.0.0.0/0", "2001:db8::1"),
        ("::/0", "192.0.2.1"),
        ("2001:db8::/32", "2001:db9::"),
        ("::1", "::"),
    ] {
        assert!(!contains(network, addr), "{addr} not in {network}");
    }
}

#[test]
fn what_is_not_clearly_a_network_is_none() {
    for text in [
        "",
        "/",
        "/8",
        "10.0.0.0/",
        "10.0.0.0/+8",
        "10.0.0.0/-1",
        "10.0.0.0/33",
        "10.0.0.0/4294967296",
        "10.0.0.1/8",
        "10/8",
        "10.0.0.0/255.0.0.0",
        "10.0.0.0:80",
        "::/129",
        "2001:db8::1/64",
        "[::1]",
        "localhost",
        " 10.0.0.0/8",
        "0.0.0.1/0",
    ] {
        assert_eq!(text.parse::<Network>(), Err(InvalidNetwork), "{text}");
    }
}
