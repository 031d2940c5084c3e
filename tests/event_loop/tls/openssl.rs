//! OpenSSL on the other side, if it is installed: `s_client`, and the module `ssl` of Python's.

#![cfg(unix)]

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};

use super::TlsEcho;
use crate::common::REQUEST;

/// Whether a tool is there. Says so if it is not.
fn has(tool: &str, version: &str) -> bool {
    let found = Command::new(tool).arg(version).output().is_ok_and(|it| it.status.success());
    if !found {
        eprintln!("SKIPPED: {tool} is not installed");
    }
    found
}

/// Talks to a server by way of `s_client`.
fn s_client(echo: &TlsEcho, arguments: &[&str]) -> Child {
    Command::new("openssl")
        .args(["s_client", "-connect", &echo.addr().to_string()])
        .args(["-servername", "localhost"])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn s_client_shakes_hands_in_each_version() {
    if !has("openssl", "version") {
        return;
    }
    for version in ["-tls1_2", "-tls1_3"] {
        let echo = TlsEcho::new();
        let mut client = s_client(&echo, &[version, "-quiet", "-alpn", "http/1.1"]);
        client.stdin.as_mut().unwrap().write_all(REQUEST.as_bytes()).unwrap();
        let mut first = String::new();
        BufReader::new(client.stdout.take().unwrap()).read_line(&mut first).unwrap();
        assert_eq!(first, "HTTP/1.1 101 Switching Protocols\r\n");
        echo.server.told.expect("open");
        client.kill().unwrap();
        client.wait().unwrap();
        assert!(echo.server.told.next().starts_with("close 1006 unclean"));
        echo.server.stop();
    }
}

/// RFC 5746 §4.5 leaves it to a server: TLS 1.3 has done away with it.
#[test]
fn renegotiation_is_refused() {
    if !has("openssl", "version") {
        return;
    }
    let echo = TlsEcho::new();
    let mut client = s_client(&echo, &["-tls1_2"]);
    // What it takes for a command.
    client.stdin.take().unwrap().write_all(b"R\n").unwrap();
    let mut said = String::new();
    client.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    client.wait().unwrap();
    assert!(said.contains("no renegotiation"), "{said}");
    echo.open().close();
    echo.server.told.expect("close 1000 clean Remote");
    echo.server.stop();
}

/// Prints what the server answers and how it ends.
const PYTHON: &str = r#"
import socket, ssl, sys
address, port, request, version, goodbye = sys.argv[1:]
context = ssl.create_default_context(cadata=sys.stdin.read())
context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
context.set_alpn_protocols(["http/1.1"])
plain = socket.create_connection((address, int(port)))
secured = context.wrap_socket(plain, server_hostname="localhost", suppress_ragged_eofs=False)
assert secured.selected_alpn_protocol() == "http/1.1"
secured.sendall(request.encode())
assert secured.recv(12) == b"HTTP/1.1 101"
while b"\r\n\r\n" not in secured.recv(65536): pass
secured.sendall(bytes([0x88, 0x82, 0, 0, 0, 0, 0x03, 0xE8]))
assert secured.recv(4) == bytes([0x88, 0x02, 0x03, 0xE8])
if goodbye == "yes":
    secured.unwrap()
else:
    assert secured.recv(1) == b""
"#;

#[test]
fn python_is_told_of_the_end_in_each_version() {
    if !has("python3", "--version") {
        return;
    }
    for (version, goodbye) in
        [("TLSv1_2", "yes"), ("TLSv1_2", "no"), ("TLSv1_3", "yes"), ("TLSv1_3", "no")]
    {
        let echo = TlsEcho::new();
        let addr = echo.addr();
        let mut client = Command::new("python3")
            .args(["-c", PYTHON, &addr.ip().to_string(), &addr.port().to_string(), REQUEST])
            .args([version, goodbye])
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        client.stdin.take().unwrap().write_all(echo.authority.pem.as_bytes()).unwrap();
        let output = client.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        echo.server.told.expect("open");
        echo.server.told.expect("close 1000 clean Remote");
        echo.server.stop();
    }
}
