//! A log behind TLS, whose authority is one's own.

use std::sync::Arc;

use chains_core::{ErrorKind, TransparencyLog as _};
use chains_transparency::{HttpOptions, RekorVersion, Transparency, TransparencyOptions};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::support::{check_error, message, recorded, recorded_key};

/// Answers every request with this body, over TLS: the address, and the PEM of its authority.
async fn serve_tls(body: Vec<u8>) -> (String, String) {
    let authority_key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let pem = authority.self_signed(&authority_key).unwrap().pem();
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(["localhost".to_owned()]).unwrap();
    let leaf = leaf.signed_by(&key, &Issuer::new(authority, authority_key)).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    tokio::spawn(async move {
        loop {
            let (connection, _) = listener.accept().await.unwrap();
            let Ok(mut connection) = acceptor.accept(connection).await else {
                continue;
            };
            let mut request = [0; 16 * 1024];
            let _ = connection.read(&mut request).await;
            let head = format!(
                "HTTP/1.1 201 Created\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                body.len()
            );
            let _ = connection.write_all(&[head.as_bytes(), &body].concat()).await;
            let _ = connection.shutdown().await;
        }
    });
    (url, pem)
}

#[tokio::test]
async fn authorities_of_ones_own_are_trusted_where_they_are_named() {
    let (url, pem) = serve_tls(recorded("v1/message.json")).await;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ca.pem");
    std::fs::write(&path, pem).unwrap();
    let signing = message();
    let append = async |ca_files| {
        let options = TransparencyOptions {
            url: Some(url.clone()),
            version: RekorVersion::V1,
            log_key: Some(recorded_key("v1/log.pub")),
            http: HttpOptions { ca_files, ..HttpOptions::default() },
            ..TransparencyOptions::default()
        };
        let log = Transparency::new(options, None).unwrap();
        log.append(&signing.payload, &signing.signed, &signing.material).await
    };
    assert_eq!(append(vec![path]).await.unwrap().log_index, 1);
    let error = append(Vec::new()).await.unwrap_err();
    check_error(&error, ErrorKind::Unavailable, "certificate");
}
