//! Whose requests proxies pass on.

use wsloop::{Config, EventLoop, ProxyField, TrustedProxies};

use super::common::{Client, REQUEST, Script, Server, Told};
#[cfg(unix)]
use super::common::{Door, turn_until};

fn trusting(field: ProxyField, networks: &[&str]) -> Config {
    Config::new().trusted_proxies(TrustedProxies::new(field, networks).unwrap())
}

/// The request of RFC 6455 §1.2 with more fields.
fn request(fields: &str) -> String {
    REQUEST.replace("Upgrade: websocket\r\n", &format!("Upgrade: websocket\r\n{fields}"))
}

/// Tells where requests and peers come from.
fn telling() -> (Script, Told) {
    let (mut script, told) = Script::echo();
    let teller = script.teller();
    script.on_request = Box::new(move |peers, request| {
        assert_eq!(peers.client_addr(request.id()), request.client_addr());
        teller.tell(&format!("request {:?}", request.client_addr()));
        request.upgrade()
    });
    let teller = script.teller();
    script.on_open = Box::new(move |peer| teller.tell(&format!("peer {:?}", peer.client_addr())));
    (script, told)
}

/// Sends a request with these fields through TCP on this machine, and checks where it is said to
/// come from.
#[track_caller]
fn check(config: Config, fields: &str, client_addr: &str) {
    let (mut script, told) = telling();
    let on_message = Box::new(|peer: &mut wsloop::Peer<'_>, _: wsloop::Message<'_>| {
        assert!(peer.remote_addr().unwrap().ip().is_loopback(), "whatever the proxy says");
        peer.send("asked");
    });
    script.on_message = on_message;
    let server = Server::start(config, (script, told));
    let mut client = Client::connect(server.addr);
    client.write(request(fields));
    client.expect_opened();
    client.send("81 00");
    client.expect("81 05 'asked'");
    client.close();
    server.told.expect(&format!("request Some({client_addr})"));
    server.told.expect("open");
    server.told.expect(&format!("peer Some({client_addr})"));
    server.told.expect("text");
    server.told.expect("close 1000 clean Remote");
    server.stop();
}

#[test]
fn a_trusted_proxy_says_where_clients_come_from() {
    let config = || trusting(ProxyField::XForwardedFor, &["127.0.0.0/8", "10.0.0.0/8"]);
    check(
        config(),
        "X-Forwarded-For: 6.6.6.6, 192.0.2.1\r\nx-forwarded-for: 10.1.1.1\r\n",
        "192.0.2.1",
    );
    check(config(), "", "127.0.0.1");
    let config = || trusting(ProxyField::Forwarded, &["127.0.0.1"]);
    check(config(), "Forwarded: for=\"[2001:db8::1]:80\"\r\n", "2001:db8::1");
    check(config(), "X-Forwarded-For: 6.6.6.6\r\n", "127.0.0.1");
}

#[test]
fn nobody_else_is_believed() {
    for config in [Config::new(), trusting(ProxyField::XForwardedFor, &["10.0.0.0/8"])] {
        check(config, "X-Forwarded-For: 192.0.2.1\r\nForwarded: for=192.0.2.1\r\n", "127.0.0.1");
    }
}

/// On a socket for both versions of IP, the system reports `::ffff:127.0.0.1`.
#[test]
fn a_client_by_ipv4_has_the_same_address_on_a_socket_for_both() {
    let bound = socket2::Socket::new(socket2::Domain::IPV6, socket2::Type::STREAM, None);
    let Some(socket) = bound.ok().filter(|socket| {
        socket.set_only_v6(false).is_ok()
            && socket.bind(&"[::]:0".parse::<std::net::SocketAddr>().unwrap().into()).is_ok()
    }) else {
        return;
    };
    socket.listen(1).unwrap();
    let config = trusting(ProxyField::XForwardedFor, &["127.0.0.1"]);
    let mut event_loop = EventLoop::with_config(config).unwrap();
    let addr = event_loop.add_listener(socket.into()).unwrap();
    let server = Server::run(event_loop, addr, telling());
    for (fields, client_addr) in
        [("", "127.0.0.1"), ("X-Forwarded-For: ::ffff:192.0.2.1\r\n", "192.0.2.1")]
    {
        let mut client = Client::connect(([127, 0, 0, 1], addr.port()).into());
        client.write(request(fields));
        client.expect_opened();
        client.close();
        server.told.expect(&format!("request Some({client_addr})"));
        server.told.expect("open");
        server.told.expect(&format!("peer Some({client_addr})"));
        server.told.expect("close 1000 clean Remote");
    }
    server.stop();
}

#[cfg(unix)]
#[test]
fn a_proxy_on_a_unix_socket_is_trusted_if_that_is_said() {
    let proxies = || TrustedProxies::new(ProxyField::XForwardedFor, ["10.0.0.0/8"]).unwrap();
    for (proxies, expected) in
        [(proxies(), "None"), (proxies().and_unix_sockets(), "Some(192.0.2.1)")]
    {
        let (mut event_loop, door) = Door::new(Config::new().trusted_proxies(proxies));
        let (mut script, told) = telling();
        let mut client = door.connect();
        client.write(request("X-Forwarded-For: 192.0.2.1, 10.1.1.1\r\n"));
        turn_until(&mut event_loop, &mut script, |_, _| client.has_input());
        client.expect_opened();
        let expected = [format!("request {expected}"), "open".into(), format!("peer {expected}")];
        assert_eq!(told.so_far(), expected);
    }
}

/// The page was loaded from the host that the proxy was asked for, whatever the proxy asks for.
#[test]
fn a_page_of_the_host_that_the_proxy_was_asked_for_may_connect() {
    const X: ProxyField = ProxyField::XForwardedFor;
    const F: ProxyField = ProxyField::Forwarded;
    let page = "Origin: https://app.example\r\n";
    for (field, proxy, fields, status) in [
        (X, "127.0.0.1", "X-Forwarded-Host: app.example\r\n", "101"),
        (X, "127.0.0.1", "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Host: app.example\r\n", "101"),
        (F, "127.0.0.1", "Forwarded: for=192.0.2.1;host=app.example\r\n", "101"),
        (F, "127.0.0.1", "Forwarded: for=192.0.2.1;host=evil.example\r\n", "403"),
        (F, "127.0.0.1", "Forwarded: for=192.0.2.1\r\n", "403"),
        (F, "127.0.0.1", "X-Forwarded-Host: app.example\r\n", "403"),
        (X, "127.0.0.1", "Forwarded: for=192.0.2.1;host=app.example\r\n", "403"),
        // Not from a proxy that is trusted.
        (X, "10.0.0.1", "X-Forwarded-Host: app.example\r\n", "403"),
        (F, "10.0.0.1", "Forwarded: for=192.0.2.1;host=app.example\r\n", "403"),
    ] {
        let server = Server::start(trusting(field, &[proxy]), Script::echo());
        let mut client = Client::connect(server.addr);
        client.write(request(&format!("{page}{fields}")));
        let answer = client.read(12);
        assert_eq!(answer, format!("HTTP/1.1 {status}").as_bytes(), "{fields}");
        drop(client);
    }
}
