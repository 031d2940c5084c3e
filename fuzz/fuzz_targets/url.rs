//! A URL that is accepted can be written into a request, and is the same when it is read again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wsloop::handshake::{ClientRequest, Credentials, HeadLimits, Proxy, Request, WsUrl};

fuzz_target!(|text: &str| {
    let variable = |name: &str| (name == "no_proxy" || name == "all_proxy").then(|| text.into());
    let localhost = WsUrl::parse("ws://127.0.0.1/").expect("valid");
    _ = (Proxy::parse(text), Proxy::from_environment(&localhost, variable));

    let Ok(url) = WsUrl::parse_with_credentials(text) else { return };
    let again = WsUrl::parse(&url.to_string()).expect("what is shown is valid");
    assert_eq!((again.host_field(), again.port()), (url.host_field(), url.port()));
    assert_eq!(again.credentials().map(Credentials::name), None);

    let mut head = Vec::new();
    ClientRequest::new(url.clone()).encode([0; 16], &mut head);
    let limits = HeadLimits::default();
    if head.len() < limits.max_request_line {
        let request = Request::parse(&head, &limits).expect("a request is valid");
        assert!(request.is_upgrade() && request.target() == url.resource_name());
        assert_eq!(request.host(), Some(&*url.host_field()));
    }
});
