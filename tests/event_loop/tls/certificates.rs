//! Who shows which certificate, and to whom.

use std::io::Write;
use std::sync::Arc;

use wsloop::tls::rustls::RootCertStore;
use wsloop::tls::rustls::pki_types::CertificateDer;
use wsloop::tls::{ClientCertificates, IdentityError};
use wsloop::{Config, TlsIdentity, TlsServer};

use super::authority::Authority;
use super::peer::TlsSocket;
use super::{VERSIONS, connect, listen};
use crate::common::{Client, Script, Told};

/// The certificate that a server shows whoever asks for `name`.
#[track_caller]
fn shown(client: &mut Client<TlsSocket>) -> CertificateDer<'static> {
    client.socket().session().peer_certificates().unwrap()[0].clone()
}

#[test]
fn each_name_has_its_certificate_and_any_other_the_first() {
    let authority = Authority::new();
    let [one, two] = ["one.example", "two.example"].map(|name| authority.pair(name));
    let identity = one.identity().or(two.identity());
    let server = listen(Config::new(), Script::echo(), identity);
    for (name, pair) in [("one.example", &one), ("two.example", &two), ("TWO.example", &two)] {
        let mut client = connect(server.addr, name, authority.clients());
        assert_eq!(shown(&mut client), pair.der(), "{name}");
    }
    let config = Arc::new(authority.clients());
    let error = TlsSocket::connect(server.addr, "three.example", config).err().unwrap();
    assert!(error.to_string().contains("one.example"), "{error}");
    server.stop();
}

#[test]
fn a_certificate_is_replaced_while_connections_stay() {
    let authority = Authority::new();
    let [old, new] = [(); 2].map(|()| authority.pair("localhost"));
    let tls = TlsServer::new(old.identity());
    let server = listen(Config::new(), Script::echo(), tls.clone());
    let mut client = connect(server.addr, "localhost", authority.clients());
    assert_eq!(shown(&mut client), old.der());
    client.shake_hands();
    server.told.expect("open");

    tls.reload(new.identity());
    assert_eq!(shown(&mut connect(server.addr, "localhost", authority.clients())), new.der());
    client.send("81 05 'Hello'");
    client.expect("81 05 'Hello'");
    client.close();
    server.told.expect("text Hello");
    server.told.expect("close 1000 clean Remote");
    server.stop();
}

/// Tells by which name a server was asked for, and how many certificates it was shown.
fn telling() -> (Script, Told) {
    let (mut script, told) = Script::echo();
    let teller = script.teller();
    script.on_request = Box::new(move |_, request| {
        let tls = request.tls().unwrap();
        let name = tls.server_name.as_deref().unwrap();
        teller.tell(&format!("{name} {}", tls.certificates.len()));
        request.upgrade()
    });
    (script, told)
}

#[test]
fn the_certificate_of_a_client_is_there_when_it_asks() {
    for version in VERSIONS {
        let (servers, clients) = (Authority::new(), Authority::new());
        let pair = clients.pair("a client");
        let (mut script, told) = Script::echo();
        let expected = pair.der();
        script.on_request = Box::new(move |_, request| {
            assert_eq!(request.tls().unwrap().certificates, std::slice::from_ref(&expected));
            request.upgrade()
        });
        let asked = ClientCertificates::required(clients.roots()).unwrap();
        let tls = TlsServer::asking(servers.identity("localhost"), asked);
        let server = listen(Config::new(), (script, told), tls);
        let config = servers.clients_of(&[version], Some(&pair));
        // The second resumes a session, in which the certificate is not shown again.
        for _ in 0..2 {
            let mut client = connect(server.addr, "localhost", config.clone());
            client.shake_hands();
            server.told.expect("open");
            client.close();
            server.told.expect("close 1000 clean Remote");
        }
        server.stop();
    }
}

#[test]
fn who_has_to_show_a_certificate_is_not_let_in_without() {
    let (servers, clients) = (Authority::new(), Authority::new());
    let asked = ClientCertificates::required(clients.roots()).unwrap();
    let tls = TlsServer::asking(servers.identity("localhost"), asked);
    let server = listen(Config::new(), Script::echo(), tls);
    let stranger = Authority::new().pair("a stranger");
    for pair in [None, Some(&stranger)] {
        let config = Arc::new(servers.clients_of(&VERSIONS, pair));
        // With TLS 1.3 the client is done before the server has seen what it shows.
        let error = TlsSocket::connect(server.addr, "localhost", config)
            .and_then(|mut socket| {
                socket.write_all(b"GET")?;
                std::io::Read::read(&mut socket, &mut [0])
            })
            .unwrap_err();
        assert!(error.to_string().contains("alert"), "{error}");
    }
    server.stop();
}

#[test]
fn who_may_show_a_certificate_is_let_in_without() {
    let (servers, clients) = (Authority::new(), Authority::new());
    let asked = ClientCertificates::optional(clients.roots()).unwrap();
    let tls = TlsServer::asking(servers.identity("localhost"), asked);
    let server = listen(Config::new(), telling(), tls);
    let pair = clients.pair("a client");
    for (pair, told) in [(None, "localhost 0"), (Some(&pair), "localhost 1")] {
        let config = servers.clients_of(&VERSIONS, pair);
        let mut client = connect(server.addr, "localhost", config);
        client.shake_hands();
        server.told.expect(told);
        server.told.expect("open");
        client.close();
        server.told.expect("close 1000 clean Remote");
    }
    server.stop();
}

#[test]
fn without_tls_there_is_nothing_to_tell_of_it() {
    let (mut script, told) = Script::echo();
    script.on_request = Box::new(|_, request| {
        assert_eq!(request.tls(), None);
        request.upgrade()
    });
    let server = crate::common::Server::start(Config::new(), (script, told));
    server.open().close();
    server.told.expect("close 1000 clean Remote");
    server.stop();
}

#[test]
fn what_is_no_identity_says_why() {
    let authority = Authority::new();
    let [one, other] = [(); 2].map(|()| authority.pair("localhost"));
    let error = |certificates: &str, key: &str| {
        TlsIdentity::from_pem(certificates.as_bytes(), key.as_bytes()).unwrap_err()
    };
    let broken = "-----BEGIN CERTIFICATE-----\nno\n";
    assert!(matches!(error("", &one.key), IdentityError::NoCertificate));
    assert!(matches!(error(broken, &one.key), IdentityError::Certificates(_)));
    assert!(matches!(error(&one.certificate, ""), IdentityError::Key(_)));
    assert!(matches!(error(&one.certificate, &other.key), IdentityError::Mismatch(_)));
    let error = TlsIdentity::from_pem_files("/no/such/file.pem", "key").unwrap_err();
    assert!(error.to_string().contains("/no/such/file.pem"), "{error}");
    assert!(ClientCertificates::required(RootCertStore::empty()).is_err());
}
