//! Certificates, made when they are needed.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use wsloop::TlsIdentity;
use wsloop::tls::roots_in_pem;
use wsloop::tls::rustls::crypto::ring;
use wsloop::tls::rustls::pki_types::pem::PemObject;
use wsloop::tls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use wsloop::tls::rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};

use super::VERSIONS;

/// Whoever trusts it trusts all that it has signed.
pub(super) struct Authority {
    pub(super) pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key, in PEM.
pub(super) struct Pair {
    pub(super) certificate: String,
    pub(super) key: String,
}

impl Authority {
    pub(super) fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        // Each has a name of its own, as authorities do.
        let name = format!("authority {:?}", &key.public_key_raw()[..8]);
        params.distinguished_name.push(DnType::CommonName, name);
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    pub(super) fn pair(&self, name: &str) -> Pair {
        self.sign(CertificateParams::new([name.to_owned()]).unwrap())
    }

    pub(super) fn sign(&self, params: CertificateParams) -> Pair {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().pem();
        Pair { certificate, key: key.serialize_pem() }
    }

    /// A server with this name.
    pub(super) fn identity(&self, name: &str) -> TlsIdentity {
        self.pair(name).identity()
    }

    pub(super) fn roots(&self) -> RootCertStore {
        roots_in_pem(self.pem.as_bytes()).unwrap()
    }

    /// Clients that trust it, speak all versions, and know of no application protocols.
    pub(super) fn clients(&self) -> ClientConfig {
        self.clients_of(&VERSIONS, None)
    }

    pub(super) fn clients_of(
        &self,
        versions: &[&'static SupportedProtocolVersion],
        shown: Option<&Pair>,
    ) -> ClientConfig {
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(self.roots());
        match shown {
            None => builder.with_no_client_auth(),
            Some(pair) => {
                builder.with_client_auth_cert(vec![pair.der()], pair.private_key()).unwrap()
            }
        }
    }
}

impl Pair {
    pub(super) fn identity(&self) -> TlsIdentity {
        TlsIdentity::from_pem(self.certificate.as_bytes(), self.key.as_bytes()).unwrap()
    }

    pub(super) fn der(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(self.certificate.as_bytes()).unwrap()
    }

    pub(super) fn private_key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap()
    }
}
