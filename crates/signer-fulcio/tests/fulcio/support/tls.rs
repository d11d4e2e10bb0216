//! A server that speaks TLS, with a certificate of an authority of its own.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use rustls::pki_types::PrivateKeyDer;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

pub(crate) struct Tls {
    acceptor: TlsAcceptor,
    /// PEM of the authority.
    pub(crate) authority: String,
}

impl Tls {
    pub(crate) fn new() -> Self {
        let authority_key = rcgen::KeyPair::generate().expect("a key");
        let mut params = rcgen::CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let authority = params.self_signed(&authority_key).expect("an authority").pem();
        let issuer = rcgen::Issuer::new(params, authority_key);
        let key = rcgen::KeyPair::generate().expect("a key");
        let params = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]);
        let leaf = params.expect("a name").signed_by(&key, &issuer).expect("a certificate");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], key)
            .expect("a configuration");
        Self { acceptor: TlsAcceptor::from(Arc::new(config)), authority }
    }

    /// Serves; gives the address.
    pub(super) async fn serve(&self, router: Router) -> String {
        let inner = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = format!("https://{}", inner.local_addr().expect("an address"));
        let listener = Listener { inner, acceptor: self.acceptor.clone() };
        tokio::spawn(async move { axum::serve(listener, router).await });
        address
    }
}

struct Listener {
    inner: TcpListener,
    acceptor: TlsAcceptor,
}

impl axum::serve::Listener for Listener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let Ok((stream, address)) = self.inner.accept().await else { continue };
            // Those who do not trust us hang up in the middle of it.
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.inner.local_addr()
    }
}
