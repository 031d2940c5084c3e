//! Whatever a client sends in front of what a trusted proxy adds, it is the client's address that
//! is found, and whatever anyone else sends, nothing is believed.

#![no_main]

use std::net::IpAddr;

use libfuzzer_sys::fuzz_target;
use wsloop::handshake::{HeadLimits, ProxyField, Request, TrustedProxies};

const CLIENT: [u8; 4] = [192, 0, 2, 1];
const PROXY: [u8; 4] = [10, 0, 0, 1];

fuzz_target!(|sent: Vec<u8>| {
    // What follows would be of another field.
    if sent.contains(&b'\n') {
        return;
    }
    for (field, name, added) in [
        (ProxyField::XForwardedFor, "X-Forwarded-For", "192.0.2.1, 10.9.9.9:80"),
        (ProxyField::Forwarded, "Forwarded", "for=192.0.2.1;x=\"\\\"\", for=\"10.9.9.9:80\""),
    ] {
        let proxies = TrustedProxies::new(field, ["10.0.0.0/8"]).unwrap();
        // On its own it leads anywhere, but not to a panic, and not at all from elsewhere.
        let [anywhere, elsewhere] =
            [PROXY, CLIENT].map(|from| locate(&proxies, name, &sent, from.into()));
        assert_eq!(anywhere.is_some(), elsewhere.is_some());
        assert!(elsewhere.is_none_or(|client| client == IpAddr::from(CLIENT)));
        for between in [", ", &format!("\r\n{name}: ")] {
            let line = [&sent[..], between.as_bytes(), added.as_bytes()].concat();
            let found = locate(&proxies, name, &line, PROXY.into());
            assert!(found.is_none_or(|client| client == IpAddr::from(CLIENT)));
        }
    }
});

/// The client, if the request is a valid one.
fn locate(proxies: &TrustedProxies, name: &str, value: &[u8], from: IpAddr) -> Option<IpAddr> {
    let start = format!("GET / HTTP/1.1\r\nHost: a\r\n{name}: ");
    let head = [start.as_bytes(), value, b"\r\n\r\n"].concat();
    let request = Request::parse(&head, &HeadLimits::default()).ok()?;
    proxies.locate(&request, Some(from)).client
}
