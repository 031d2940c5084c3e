//! Certificates that are made while a test runs, and servers that show them.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair,
};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ServerConfig, ServerConnection, StreamOwned, SupportedProtocolVersion};
use wsloop::handshake::{ClientRequest, WsUrl};
use wsloop::tls;

use crate::common::{Peer, wire};

/// Who signs certificates.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// What a server shows.
pub(crate) struct Identity {
    pub(crate) certificate: CertificateDer<'static>,
    pub(crate) key: KeyPair,
    pub(crate) pem: String,
}

pub(crate) type TlsPeer = Peer<StreamOwned<ServerConnection, TcpStream>>;

impl Authority {
    pub(crate) fn new() -> Self {
        // Two of the same name would be taken for one that signs wrongly.
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let mut params = CertificateParams::new([]).unwrap();
        let name = format!("authority {}", NEXT.fetch_add(1, Ordering::Relaxed));
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// What a client is configured with that trusts this one.
    pub(crate) fn trusted(&self) -> Arc<ClientConfig> {
        tls::client_config(tls::roots_in_pem(self.pem().as_bytes()).unwrap())
    }

    /// Signs a certificate for these hosts.
    pub(crate) fn server<const N: usize>(&self, hosts: [&str; N]) -> Identity {
        self.server_but(hosts, |_| {})
    }

    /// Signs one with something about it that is different.
    pub(crate) fn server_but<const N: usize>(
        &self,
        hosts: [&str; N],
        change: impl FnOnce(&mut CertificateParams),
    ) -> Identity {
        let mut params = server_params(hosts);
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Identity { certificate: certificate.der().clone(), pem: certificate.pem(), key }
    }
}

impl Identity {
    /// Signs one's own.
    pub(crate) fn self_signed<const N: usize>(hosts: [&str; N]) -> Self {
        let key = KeyPair::generate().unwrap();
        let certificate = server_params(hosts).self_signed(&key).unwrap();
        Self { certificate: certificate.der().clone(), pem: certificate.pem(), key }
    }

    pub(crate) fn config(
        &self,
        versions: &[&'static SupportedProtocolVersion],
    ) -> Arc<ServerConfig> {
        let key = PrivateKeyDer::try_from(self.key.serialize_der()).unwrap();
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(versions)
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![self.certificate.clone()], key)
            .unwrap();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Arc::new(config)
    }
}

fn server_params<const N: usize>(hosts: [&str; N]) -> CertificateParams {
    let mut params = CertificateParams::new(hosts.map(str::to_owned)).unwrap();
    params.insert_extended_key_usage(ExtendedKeyUsagePurpose::ServerAuth);
    params
}

/// A request to a server that listens there, by this name.
pub(crate) fn request(host: &str, addr: SocketAddr) -> ClientRequest {
    ClientRequest::new(WsUrl::parse(&format!("wss://{host}:{}/", addr.port())).unwrap())
}

/// Speaks TLS from here on.
pub(crate) fn secure(peer: Peer, config: &Arc<ServerConfig>) -> TlsPeer {
    let connection = ServerConnection::new(Arc::clone(config)).unwrap();
    Peer { stream: StreamOwned::new(connection, peer.stream) }
}

impl TlsPeer {
    /// Ends this side of TLS, and then of TCP.
    pub(crate) fn close(&mut self) {
        self.stream.conn.send_close_notify();
        self.stream.flush().unwrap();
        self.stream.sock.shutdown(std::net::Shutdown::Write).unwrap();
    }

    /// Ends TCP alone, as if somebody had cut it.
    pub(crate) fn cut(&self) {
        self.stream.sock.shutdown(std::net::Shutdown::Write).unwrap();
    }

    /// Seals frames, which are yet to be written.
    pub(crate) fn seal(&mut self, transcript: &str) -> Vec<u8> {
        self.stream.conn.writer().write_all(&wire(transcript)).unwrap();
        let mut records = Vec::new();
        while self.stream.conn.wants_write() {
            self.stream.conn.write_tls(&mut records).unwrap();
        }
        records
    }

    /// Sends frames so that each byte of the records is written alone.
    pub(crate) fn drip(&mut self, transcript: &str) {
        for byte in self.seal(transcript) {
            self.stream.sock.write_all(&[byte]).unwrap();
        }
    }
}
