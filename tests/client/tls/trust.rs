//! Who is trusted, and how it is said that somebody is not.

use std::process::Command;
use std::sync::Arc;

use rcgen::{ExtendedKeyUsagePurpose, date_time_ymd};
use rustls::crypto::ring::default_provider;
use rustls::server::WebPkiClientVerifier;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ServerConfig};
use wsloop::client::{Client, ConnectError, ConnectStep};
use wsloop::tls::{self, CertificateError, TlsError};

use super::common::{Authority, Identity, request, secure};
use crate::common::{Peer, SOON, Server, patient};

/// Checks how a client refuses to go on, and that the server has not seen a byte of the request.
#[track_caller]
fn rejects(
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
    expected: TlsError,
    says: &str,
) -> ConnectError {
    let server = Server::run(move |peer| {
        let mut peer = secure(peer, &server);
        let mut byte = [0];
        let error = std::io::Read::read_exact(&mut peer.stream, &mut byte).unwrap_err();
        assert!(error.get_ref().is_some_and(|it| it.is::<rustls::Error>()), "{error:?}");
    });
    let connector = patient().tls(client);
    let error = connector.connect(&request("127.0.0.1", server.addr)).unwrap_err();
    assert!(matches!(&error, ConnectError::Tls { error, .. } if *error == expected), "{error:?}");
    assert!(error.to_string().starts_with(says), "{error}");
    server.join();
    error
}

#[test]
fn certificates_are_checked() {
    let authority = Authority::new();
    let expired = authority.server_but(["127.0.0.1"], |params| {
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
    });
    let early = authority.server_but(["127.0.0.1"], |params| {
        params.not_before = date_time_ymd(3000, 1, 1);
        params.not_after = date_time_ymd(3001, 1, 1);
    });
    let for_clients = authority.server_but(["127.0.0.1"], |params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    });
    let elsewhere = authority.server(["server.example", "127.0.0.2"]);
    let unknown = Authority::new().server(["127.0.0.1"]);
    let own = Identity::self_signed(["127.0.0.1"]);

    for (identity, expected, says) in [
        (expired, CertificateError::Expired, "the certificate has expired: "),
        (
            early,
            CertificateError::NotYetValid,
            "the certificate is not valid yet: is the clock right?: ",
        ),
        (for_clients, CertificateError::Purpose, "the certificate is for another purpose: "),
        (elsewhere, CertificateError::WrongHost, "the certificate is for another host: "),
        (
            unknown,
            CertificateError::UnknownIssuer,
            "the certificate was issued by nobody who is trusted: ",
        ),
        (
            own,
            CertificateError::UnknownIssuer,
            "the certificate was issued by nobody who is trusted: ",
        ),
    ] {
        for version in [&TLS12, &TLS13] {
            let expected = TlsError::Certificate(expected);
            let error = rejects(authority.trusted(), identity.config(&[version]), expected, says);
            if expected == TlsError::Certificate(CertificateError::WrongHost) {
                let text = error.to_string();
                assert!(text.contains("127.0.0.1") && text.contains("server.example"), "{text}");
            }
        }
    }
}

#[test]
fn without_a_version_in_common_that_is_said() {
    let authority = Authority::new();
    let roots = tls::roots_in_pem(authority.pem().as_bytes()).unwrap();
    for (ours, theirs) in [(&TLS12, &TLS13), (&TLS13, &TLS12)] {
        let client = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(&[ours])
            .unwrap()
            .with_root_certificates(roots.clone())
            .with_no_client_auth();
        let server = authority.server(["127.0.0.1"]).config(&[theirs]);
        let says = "no version of TLS in common, expected 1.2 or 1.3";
        rejects(Arc::new(client), server, TlsError::Version, says);
    }
}

#[test]
fn what_is_spoken_within_tls_is_http() {
    let authority = Authority::new();
    let mut server = Arc::unwrap_or_clone(authority.server(["127.0.0.1"]).config(&[&TLS13]));
    server.alpn_protocols = vec![b"h2".to_vec()];
    let server = Arc::new(server);
    let says = "expected http/1.1 to be spoken within TLS (ALPN)";
    let expected = TlsError::ApplicationProtocol;
    rejects(authority.trusted(), Arc::clone(&server), expected, says);

    // An application that shares a configuration with its HTTP client may offer more than we speak.
    let mut client = Arc::unwrap_or_clone(authority.trusted());
    client.alpn_protocols.insert(0, b"h2".to_vec());
    let server = Server::run(move |peer| secure(peer, &server).await_gone());
    let connector = patient().tls(Arc::new(client));
    let error = connector.connect(&request("127.0.0.1", server.addr)).unwrap_err();
    assert_eq!(error.to_string(), says);
    server.join();
}

/// A server that knows nothing of ALPN chooses nothing.
#[test]
fn a_server_need_not_choose_a_protocol() {
    let authority = Authority::new();
    let mut config = Arc::unwrap_or_clone(authority.server(["127.0.0.1"]).config(&[&TLS12]));
    config.alpn_protocols.clear();
    let server = Server::run(move |peer| _ = secure(peer, &Arc::new(config)).accept());
    let connector = patient().tls(authority.trusted());
    connector.connect(&request("127.0.0.1", server.addr)).unwrap();
    server.join();
}

/// In TLS 1.3 it turns out after the client has sent its request.
#[test]
fn a_server_may_ask_for_a_certificate_and_get_it() {
    for version in [&TLS12, &TLS13] {
        let authority = Authority::new();
        let identity = authority.server(["127.0.0.1"]);
        let roots = Arc::new(tls::roots_in_pem(authority.pem().as_bytes()).unwrap());
        let provider = Arc::new(default_provider());
        let clients =
            WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(&provider))
                .build()
                .unwrap();
        let key = identity.key.serialize_der().try_into().unwrap();
        let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[version])
            .unwrap()
            .with_client_cert_verifier(clients)
            .with_single_cert(vec![identity.certificate], key)
            .unwrap();
        let config = Arc::new(config);
        let server = Server::run_times(2, move |i, peer| {
            let mut peer = secure(peer, &config);
            match i {
                0 => peer.await_gone(),
                _ => _ = peer.accept(),
            }
        });
        let connector = patient().tls(authority.trusted());
        let error = connector.connect(&request("127.0.0.1", server.addr)).unwrap_err();
        let ConnectError::Tls { error, .. } = error else { panic!("{error:?}") };
        // TLS 1.2 has no words for it.
        assert!(matches!(error, TlsError::CertificateRequired | TlsError::Algorithms), "{error:?}");

        let ours = authority.server_but(["client"], |params| {
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        });
        let key = ours.key.serialize_der().try_into().unwrap();
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_client_auth_cert(vec![ours.certificate], key)
            .unwrap();
        let connector = connector.tls(Arc::new(config));
        connector.connect(&request("127.0.0.1", server.addr)).unwrap();
        server.join();
    }
}

#[test]
fn a_server_without_tls_is_recognized() {
    for answer in ["HTTP/1.1 400 Bad Request\r\n\r\n", "SSH-2.0-x\r\n", "220 mail\r\n"] {
        let server = Server::run(move |mut peer: Peer| {
            peer.write(answer);
            peer.await_gone();
        });
        let connector = patient().tls(Authority::new().trusted());
        let error = connector.connect(&request("127.0.0.1", server.addr)).unwrap_err();
        let expected = "expected TLS, got something else: should the URL begin with ws://?";
        assert_eq!(error.to_string(), expected, "{answer}");
        server.join();
    }
}

#[test]
fn a_server_that_says_nothing_is_not_waited_for_for_ever() {
    let server = Server::run(|mut peer: Peer| peer.await_gone());
    let connector = patient().tls(Authority::new().trusted()).connect_timeout(SOON);
    let error = connector.connect(&request("127.0.0.1", server.addr)).unwrap_err();
    assert!(matches!(error, ConnectError::TimedOut(ConnectStep::Tls)), "{error:?}");
    assert_eq!(error.to_string(), "the server did not complete the TLS handshake in time");
    server.join();
}

#[test]
fn a_server_that_hangs_up_has_broken_the_connection() {
    let server = Server::run(|peer: Peer| {
        peer.stream.shutdown(std::net::Shutdown::Write).unwrap();
        let Peer { mut stream } = peer;
        _ = std::io::copy(&mut stream, &mut std::io::sink());
    });
    let connector = patient().tls(Authority::new().trusted());
    let error = connector.connect(&request("127.0.0.1", server.addr)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the connection broke before it was open: the server ended it during the TLS handshake"
    );
    server.join();
}

/// The request would be the first thing that is sent within TLS, and there is none.
#[test]
fn a_host_that_no_certificate_is_for_is_not_asked() {
    let server = Server::run(|mut peer: Peer| peer.expect_end());
    let connector = patient().tls(Authority::new().trusted());
    // A resolver knows this name, but it cannot be one of DNS.
    let error = connector.connect(&request("127.1", server.addr)).unwrap_err();
    let ConnectError::Tls { error, .. } = error else { panic!("{error:?}") };
    assert_eq!(error, TlsError::Name);
    server.join();
}

/// The environment belongs to the whole process, so there is one of its own for this.
#[test]
fn the_system_is_asked_whom_to_trust() {
    const MARK: &str = "WSLOOP_TEST_TLS_OF";
    let test = "tls::trust::the_system_is_asked_whom_to_trust";
    if let Ok(url) = std::env::var(MARK) {
        match Client::connect(&url) {
            Ok(_) => println!("connected"),
            Err(error) => println!("{error}"),
        }
        return;
    }
    let directory = std::env::temp_dir().join(format!("wsloop-tls-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let authority = Authority::new();
    let root = directory.join("root.pem");
    std::fs::write(&root, authority.pem()).unwrap();
    std::fs::write(directory.join("empty.pem"), "").unwrap();

    let config = authority.server(["127.0.0.1"]).config(&[&TLS13]);
    let server = Server::run(move |peer| _ = secure(peer, &config).accept());
    let connect = |file: &str| {
        let output = Command::new(std::env::current_exe().unwrap())
            .args([test, "--exact", "--nocapture"])
            .env(MARK, format!("wss://{}/", server.addr))
            .env("SSL_CERT_FILE", directory.join(file))
            .env_remove("SSL_CERT_DIR")
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let missing = "the system has no roots to trust: found none, expected those of the package \
                   ca-certificates, or some where SSL_CERT_FILE or SSL_CERT_DIR say";
    for file in ["empty.pem", "missing.pem"] {
        let output = connect(file);
        assert!(output.contains(missing), "{output}");
    }
    assert!(connect("missing.pem").contains("missing.pem"));
    let output = connect("root.pem");
    assert!(output.contains("connected"), "{output}");
    server.join();
    std::fs::remove_dir_all(&directory).unwrap();
}

#[test]
fn roots_are_read_from_pem() {
    let (one, other) = (Authority::new().pem(), Authority::new().pem());
    let both = format!("# The first\n{one}\n{other}");
    assert_eq!(tls::roots_in_pem(both.as_bytes()).unwrap().len(), 2);
    for (pem, expected) in [
        ("", "no certificate, expected -----BEGIN CERTIFICATE-----"),
        (
            "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n",
            "invalid peer certificate",
        ),
    ] {
        let error = tls::roots_in_pem(pem.as_bytes()).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
}
