//! PEM in, rustls configurations out. What cannot be loaded is said with its name and the way out.

use std::sync::Arc;

use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{self, cipher_suite, kx_group};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::version::TLS13;
use rustls::{ClientConfig, RootCertStore, ServerConfig};

use crate::failure::{Code, Failure, Result, failure};

/// `TlsMaterial` of shared/native/quic.ts.
#[napi_derive::napi(object, object_to_js = false)]
pub struct Material {
    pub certificate_pem: String,
    pub private_key_pem: String,
    pub ca_pem: String,
    pub crl_pem: Option<String>,
    pub key_exchange: String,
}

struct Parsed {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    roots: Arc<RootCertStore>,
    crls: Vec<CertificateRevocationListDer<'static>>,
    provider: Arc<CryptoProvider>,
}

fn wrong(what: impl Into<String>) -> Failure {
    failure(Code::TlsMaterial, what)
}

fn parse(material: &Material) -> Result<Parsed> {
    let chain = certificates(&material.certificate_pem, "certificate")?;
    let key = PrivateKeyDer::from_pem_slice(material.private_key_pem.as_bytes()).map_err(|error| {
        wrong(format!("private key: {error}; expected one PEM block PRIVATE KEY (PKCS#8), EC or RSA"))
    })?;
    let mut roots = RootCertStore::empty();
    for ca in certificates(&material.ca_pem, "CA")? {
        roots.add(ca).map_err(|error| wrong(format!("CA: {error}; expected X.509 v3 CA certificates in PEM")))?;
    }
    let mut crls = Vec::new();
    if let Some(pem) = &material.crl_pem {
        for crl in CertificateRevocationListDer::pem_slice_iter(pem.as_bytes()) {
            crls.push(crl.map_err(|error| wrong(format!("CRL: {error}; expected PEM blocks X509 CRL")))?);
        }
        if crls.is_empty() {
            return Err(wrong("CRL: no PEM block X509 CRL in it"));
        }
    }
    Ok(Parsed { chain, key, roots: Arc::new(roots), crls, provider: provider(&material.key_exchange)? })
}

fn certificates(pem: &str, name: &str) -> Result<Vec<CertificateDer<'static>>> {
    let all: Vec<_> = CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|error| wrong(format!("{name}: {error}; expected PEM blocks CERTIFICATE")))?;
    if all.is_empty() {
        return Err(wrong(format!("{name}: no PEM block CERTIFICATE in it")));
    }
    Ok(all)
}

/// Our own lists, so that no default of a dependency decides what is post-quantum.
fn provider(key_exchange: &str) -> Result<Arc<CryptoProvider>> {
    let groups = match key_exchange {
        "prefer-pq" => vec![kx_group::X25519MLKEM768, kx_group::X25519, kx_group::SECP256R1],
        "require-pq" => vec![kx_group::X25519MLKEM768],
        "classical" => vec![kx_group::X25519, kx_group::SECP256R1],
        other => {
            return Err(wrong(format!("key exchange {other:?}: expected prefer-pq, require-pq or classical")));
        }
    };
    Ok(Arc::new(CryptoProvider {
        kx_groups: groups,
        // AES-128 first: the cheapest on every CPU with AES instructions, and QUIC's packets are where the
        // time goes.
        cipher_suites: vec![
            cipher_suite::TLS13_AES_128_GCM_SHA256,
            cipher_suite::TLS13_AES_256_GCM_SHA384,
            cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
        ],
        ..aws_lc_rs::default_provider()
    }))
}

fn alpn_list(alpn: &[String]) -> Vec<Vec<u8>> {
    alpn.iter().map(|name| name.as_bytes().to_vec()).collect()
}

/// A server that asks for a client certificate and takes no connection without one.
pub fn server_config(material: &Material, alpn: &[String]) -> Result<Arc<ServerConfig>> {
    let Parsed { chain, key, roots, crls, provider } = parse(material)?;
    let verifier = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider))
        .with_crls(crls)
        .build()
        .map_err(|error| wrong(format!("CA or CRL: {error}")))?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .map_err(|error| wrong(format!("TLS 1.3: {error}")))?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)
        .map_err(|error| wrong(format!("certificate and private key: {error}")))?;
    config.alpn_protocols = alpn_list(alpn);
    // No resumption and no 0-RTT: every session shows its certificate, which is checked again.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    Ok(Arc::new(config))
}

/// A client that shows its certificate and checks the server's name, chain and revocation.
pub fn client_config(material: &Material, alpn: &[String]) -> Result<Arc<ClientConfig>> {
    let Parsed { chain, key, roots, crls, provider } = parse(material)?;
    let verifier = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider))
        .with_crls(crls)
        .build()
        .map_err(|error| wrong(format!("CA or CRL: {error}")))?;
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .map_err(|error| wrong(format!("TLS 1.3: {error}")))?
        .with_webpki_verifier(verifier)
        .with_client_auth_cert(chain, key)
        .map_err(|error| wrong(format!("certificate and private key: {error}")))?;
    config.alpn_protocols = alpn_list(alpn);
    config.resumption = Resumption::disabled();
    config.enable_early_data = false;
    Ok(Arc::new(config))
}

#[cfg(test)]
pub mod tests {
    use std::process::Command;

    use super::*;
    use crate::fuzz::fuzz;
    use rustls::pki_types::ServerName;
    use rustls::quic::{ClientConnection, Connection, ServerConnection, Version};

    /// A self-signed P-256 certificate for `localhost`, its own CA, and its key, made for this run.
    pub fn pem() -> String {
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"])
            .args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"])
            .args(["-addext", "basicConstraints=critical,CA:FALSE", "-keyout", "-", "-out", "-"])
            .output()
            .expect("openssl runs");
        String::from_utf8(made.stdout).expect("PEM is text")
    }

    pub fn material(pem: &str) -> Material {
        Material {
            certificate_pem: pem.into(),
            private_key_pem: pem.into(),
            ca_pem: pem.into(),
            crl_pem: None,
            key_exchange: "prefer-pq".into(),
        }
    }

    /// Runs a handshake in memory until a side fails or nobody has more to say.
    fn handshake(client: Arc<ClientConfig>, server: Arc<ServerConfig>) -> std::result::Result<(), rustls::Error> {
        let name = ServerName::try_from("localhost").expect("a valid name");
        let client = ClientConnection::new(client, Version::V1, name, Vec::new()).expect("a client");
        let server = ServerConnection::new(server, Version::V1, Vec::new()).expect("a server");
        let mut sides = [Connection::Client(client), Connection::Server(server)];
        loop {
            let mut silent = true;
            for (from, to) in [(0, 1), (1, 0)] {
                // One flight an encryption level (RFC 9001 section 4.1.3).
                loop {
                    let mut flight = Vec::new();
                    let key_change = sides[from].write_hs(&mut flight);
                    silent &= flight.is_empty();
                    sides[to].read_hs(&flight)?;
                    if key_change.is_none() {
                        break;
                    }
                }
            }
            if silent {
                return Ok(());
            }
        }
    }

    #[test]
    fn a_client_without_a_certificate_is_refused() {
        let (alpn, material) = (["h3".to_owned()], material(&pem()));
        let server = server_config(&material, &alpn).expect("a server configuration");
        let with = client_config(&material, &alpn).expect("a client configuration");
        let parsed = parse(&material).expect("parsed material");
        let mut without = ClientConfig::builder_with_provider(parsed.provider)
            .with_protocol_versions(&[&TLS13])
            .expect("TLS 1.3")
            .with_root_certificates(parsed.roots)
            .with_no_client_auth();
        without.alpn_protocols = alpn_list(&alpn);
        assert_eq!(handshake(with, Arc::clone(&server)), Ok(()));
        assert_eq!(handshake(Arc::new(without), server), Err(rustls::Error::NoCertificatesPresented));
    }

    #[test]
    fn key_exchange_decides_the_groups() {
        for (name, groups) in [
            ("prefer-pq", &["X25519MLKEM768", "X25519", "secp256r1"][..]),
            ("require-pq", &["X25519MLKEM768"]),
            ("classical", &["X25519", "secp256r1"]),
        ] {
            let provider = provider(name).expect("a provider");
            let names: Vec<_> = provider.kx_groups.iter().map(|group| format!("{:?}", group.name())).collect();
            assert_eq!(names, groups);
        }
        assert!(provider("quantum").is_err());
    }

    #[test]
    fn whatever_the_files_hold_is_taken_or_refused() {
        let (alpn, good) = (["h3".to_owned()], pem());
        let crl = good.replace("CERTIFICATE", "X509 CRL");
        fuzz(&[good.clone().into_bytes(), crl.into_bytes()], 2_000, |bytes| {
            let text = String::from_utf8_lossy(bytes).into_owned();
            for material in [
                Material { certificate_pem: text.clone(), ..material(&good) },
                Material { private_key_pem: text.clone(), ..material(&good) },
                Material { ca_pem: text.clone(), ..material(&good) },
                Material { crl_pem: Some(text.clone()), ..material(&good) },
            ] {
                for refused in [server_config(&material, &alpn).err(), client_config(&material, &alpn).err()] {
                    assert!(refused.is_none_or(|failure| failure.status == Code::TlsMaterial));
                }
            }
        });
    }
}
