//! TLS: generates certificates at the start, and selects the HTTP versions. Nothing is stored on disk.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use clap::ValueEnum;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::PrivatePkcs8KeyDer;
use tokio_rustls::TlsAcceptor;

use super::SimError;

/// The protocol as ALPN names it.
pub(super) const H2: &[u8] = b"h2";

/// Which versions of HTTP are offered over TLS, by ALPN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Tls {
    /// HTTP/1.1 only.
    Http1,
    /// HTTP/2 only.
    Http2,
    /// HTTP/2, else HTTP/1.1.
    Both,
}

/// What is wrong with the certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum BadCertificate {
    /// Its validity ended in 2020.
    Expired,
    /// It is for `other.example`.
    OtherHost,
    /// It is self-signed: the authority that the client trusts did not issue it.
    SelfSigned,
}

/// What connections are accepted with, and the authority that a client has to trust.
pub(super) struct Identity {
    pub(super) acceptor: TlsAcceptor,
    pub(super) ca_pem: String,
}

impl Identity {
    /// A new authority, and a certificate of it for this machine and the address listened on.
    pub(super) fn new(tls: Tls, bad: Option<BadCertificate>, listen: SocketAddr) -> Result<Self, SimError> {
        let certificate = |error: rcgen::Error| SimError::Certificate(error.to_string());
        let (ca_params, ca_key) = (authority(listen), KeyPair::generate().map_err(certificate)?);
        let ca_pem = ca_params.self_signed(&ca_key).map_err(certificate)?.pem();
        let params = leaf(bad, listen.ip()).map_err(certificate)?;
        let key = KeyPair::generate().map_err(certificate)?;
        let issued = if bad == Some(BadCertificate::SelfSigned) {
            params.self_signed(&key)
        } else {
            params.signed_by(&key, &Issuer::new(ca_params, ca_key))
        };
        let chain = vec![issued.map_err(certificate)?.into()];
        let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key));
        let mut config = config.map_err(|error| SimError::Certificate(error.to_string()))?;
        config.alpn_protocols = protocols(tls);
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), ca_pem })
    }
}

fn protocols(tls: Tls) -> Vec<Vec<u8>> {
    let offered: &[&[u8]] = match tls {
        Tls::Http1 => &[b"http/1.1"],
        Tls::Http2 => &[H2],
        Tls::Both => &[H2, b"http/1.1"],
    };
    offered.iter().map(|protocol| protocol.to_vec()).collect()
}

/// The port is part of its name, since clients would take two authorities with the same name for one with a bad signature.
fn authority(listen: SocketAddr) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, format!("authority of r3e-sim at {listen}"));
    params
}

fn leaf(bad: Option<BadCertificate>, listen: IpAddr) -> Result<CertificateParams, rcgen::Error> {
    let names = match bad {
        Some(BadCertificate::OtherHost) => vec!["other.example".to_owned()],
        _ => vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned(), listen.to_string()],
    };
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, "r3e-sim");
    if bad == Some(BadCertificate::Expired) {
        (params.not_before, params.not_after) = (date_time_ymd(2019, 1, 1), date_time_ymd(2020, 1, 1));
    }
    Ok(params)
}
