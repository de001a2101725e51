//! quinn's crypto interface around a rustls QUIC connection (RFC 9001). quinn has one of its own, but that
//! one does not tell the key exchange group and the cipher suite; here they are read from rustls.

use std::any::Any;
use std::io::Cursor;
use std::sync::{Arc, Mutex};

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use quinn_proto::crypto::{self, ExportKeyingMaterialError, KeyPair, Keys, UnsupportedVersion};
use quinn_proto::transport_parameters::TransportParameters;
use quinn_proto::{ConnectError, ConnectionId, Side, TransportError, TransportErrorCode};
use rustls::AlertDescription;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::quic::{ClientConnection, Connection, KeyChange, Secrets, ServerConnection, Suite, Version};

use crate::constants::{QUIC_V1, RETRY_KEY, RETRY_NONCE, RETRY_TAG_LENGTH};
use crate::failure::{Code, Result, failure};
use crate::lock::lock;

/// What the handshake agreed on: the `handshake_data` of a connection.
#[derive(Clone, Debug, Default)]
pub struct Negotiated {
    pub alpn: String,
    pub key_exchange_group: String,
    pub cipher_suite: String,
}

pub struct ClientTls {
    config: Arc<rustls::ClientConfig>,
    initial: Suite,
}

pub struct ServerTls {
    config: Arc<rustls::ServerConfig>,
    initial: Suite,
}

/// Initial packets are always protected with AES-128-GCM (RFC 9001 section 5.2).
fn initial_suite() -> Result<Suite> {
    rustls::crypto::aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256
        .tls13()
        .and_then(rustls::Tls13CipherSuite::quic_suite)
        .ok_or_else(|| failure(Code::TlsMaterial, "AES-128-GCM is missing for QUIC's Initial packets"))
}

impl ClientTls {
    pub fn new(config: Arc<rustls::ClientConfig>) -> Result<Self> {
        Ok(ClientTls { config, initial: initial_suite()? })
    }
}

impl ServerTls {
    pub fn new(config: Arc<rustls::ServerConfig>) -> Result<Self> {
        Ok(ServerTls { config, initial: initial_suite()? })
    }
}

fn encoded(params: &TransportParameters) -> Vec<u8> {
    let mut bytes = Vec::new();
    params.write(&mut bytes);
    bytes
}

fn pair(local: rustls::quic::DirectionalKeys, remote: rustls::quic::DirectionalKeys) -> Keys {
    Keys {
        header: KeyPair { local: Box::new(local.header), remote: Box::new(remote.header) },
        packet: KeyPair { local: Box::new(local.packet), remote: Box::new(remote.packet) },
    }
}

fn initial_keys(suite: &Suite, destination: &ConnectionId, side: Side) -> Keys {
    let keys = suite.keys(destination, side.into(), Version::V1);
    pair(keys.local, keys.remote)
}

/// The tag of a Retry packet (RFC 9001 section 5.8); `None` only when the cipher itself fails.
fn retry_tag(original: &ConnectionId, packet: &[u8]) -> Option<[u8; RETRY_TAG_LENGTH]> {
    let mut pseudo_packet = Vec::with_capacity(1 + original.len() + packet.len());
    pseudo_packet.push(u8::try_from(original.len()).ok()?);
    pseudo_packet.extend_from_slice(original);
    pseudo_packet.extend_from_slice(packet);
    let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &RETRY_KEY).ok()?);
    let tag = key
        .seal_in_place_separate_tag(Nonce::assume_unique_for_key(RETRY_NONCE), Aad::from(pseudo_packet), &mut [])
        .ok()?;
    tag.as_ref().try_into().ok()
}

impl crypto::ClientConfig for ClientTls {
    fn start_session(
        self: Arc<Self>,
        version: u32,
        server_name: &str,
        params: &TransportParameters,
    ) -> Result<Box<dyn crypto::Session>, ConnectError> {
        if version != QUIC_V1 {
            return Err(ConnectError::UnsupportedVersion);
        }
        let invalid = || ConnectError::InvalidServerName(server_name.into());
        let name = ServerName::try_from(server_name).map_err(|_| invalid())?.to_owned();
        let tls = ClientConnection::new(Arc::clone(&self.config), Version::V1, name, encoded(params))
            .map_err(|_| invalid())?;
        Ok(Box::new(Session::new(Connection::Client(tls), self.initial)))
    }
}

impl crypto::ServerConfig for ServerTls {
    fn initial_keys(&self, version: u32, destination: &ConnectionId) -> Result<Keys, UnsupportedVersion> {
        if version != QUIC_V1 {
            return Err(UnsupportedVersion);
        }
        Ok(initial_keys(&self.initial, destination, Side::Server))
    }

    fn retry_tag(&self, _: u32, original: &ConnectionId, packet: &[u8]) -> [u8; RETRY_TAG_LENGTH] {
        // A tag of zeros makes the client drop the Retry: the right end of a cipher that fails.
        retry_tag(original, packet).unwrap_or_default()
    }

    fn start_session(self: Arc<Self>, _: u32, params: &TransportParameters) -> Box<dyn crypto::Session> {
        match ServerConnection::new(Arc::clone(&self.config), Version::V1, encoded(params)) {
            Ok(tls) => Box::new(Session::new(Connection::Server(tls), self.initial)),
            // rustls refuses a configuration without TLS 1.3 or with an odd max_early_data_size;
            // `server_config` makes neither.
            Err(error) => unreachable!("rustls refused our own server configuration: {error}"),
        }
    }
}

/// What is left of a server's TLS after its handshake: each is asked for once, and given away then.
struct Outcome {
    negotiated: Option<Negotiated>,
    chain: Option<Vec<CertificateDer<'static>>>,
}

enum Tls {
    Live(Box<Connection>),
    /// A server's, complete. rustls would keep some 6 KB for messages that no client may send: in QUIC there is no
    /// TLS after the handshake but tickets from the server (RFC 9001 sections 4.4 and 6), and ours sends none.
    Complete(Mutex<Outcome>),
}

struct Session {
    tls: Tls,
    side: Side,
    initial: Suite,
    next_secrets: Option<Secrets>,
    /// `read_handshake` has told quinn that `handshake_data` is there.
    announced: bool,
}

impl Session {
    fn new(tls: Connection, initial: Suite) -> Self {
        let side = match tls {
            Connection::Client(_) => Side::Client,
            Connection::Server(_) => Side::Server,
        };
        Session { tls: Tls::Live(Box::new(tls)), side, initial, next_secrets: None, announced: false }
    }
}

fn negotiated(tls: &Connection) -> Negotiated {
    let text = |value: Option<&[u8]>| String::from_utf8_lossy(value.unwrap_or_default()).into_owned();
    Negotiated {
        alpn: text(tls.alpn_protocol()),
        key_exchange_group: tls
            .negotiated_key_exchange_group()
            .map_or_else(String::new, |group| format!("{:?}", group.name())),
        cipher_suite: tls.negotiated_cipher_suite().map_or_else(String::new, |suite| format!("{:?}", suite.suite())),
    }
}

fn peer_chain(tls: &Connection) -> Option<Vec<CertificateDer<'static>>> {
    Some(tls.peer_certificates()?.iter().map(|certificate| certificate.clone().into_owned()).collect())
}

fn any<T: Any>(value: T) -> Box<dyn Any> {
    Box::new(value)
}

impl crypto::Session for Session {
    fn initial_keys(&self, destination: &ConnectionId, side: Side) -> Keys {
        initial_keys(&self.initial, destination, side)
    }

    fn handshake_data(&self) -> Option<Box<dyn Any>> {
        match &self.tls {
            Tls::Live(tls) => Some(any(negotiated(tls))),
            Tls::Complete(outcome) => lock(outcome).negotiated.take().map(any),
        }
    }

    fn peer_identity(&self) -> Option<Box<dyn Any>> {
        match &self.tls {
            Tls::Live(tls) => peer_chain(tls).map(any),
            Tls::Complete(outcome) => lock(outcome).chain.take().map(any),
        }
    }

    fn early_crypto(&self) -> Option<(Box<dyn crypto::HeaderKey>, Box<dyn crypto::PacketKey>)> {
        None
    }

    fn early_data_accepted(&self) -> Option<bool> {
        match self.side {
            Side::Client => Some(false),
            Side::Server => None,
        }
    }

    fn is_handshaking(&self) -> bool {
        matches!(&self.tls, Tls::Live(tls) if tls.is_handshaking())
    }

    fn read_handshake(&mut self, bytes: &[u8]) -> Result<bool, TransportError> {
        let tls = match &mut self.tls {
            Tls::Live(tls) => tls,
            Tls::Complete(_) if bytes.is_empty() => return Ok(false),
            Tls::Complete(_) => {
                return Err(TransportError {
                    code: TransportErrorCode::crypto(AlertDescription::UnexpectedMessage.into()),
                    frame: None,
                    reason: "a TLS message after the handshake".into(),
                });
            }
        };
        tls.read_hs(bytes).map_err(|error| match tls.alert() {
            Some(alert) => TransportError {
                code: TransportErrorCode::crypto(alert.into()),
                frame: None,
                reason: error.to_string(),
            },
            None => TransportError {
                code: TransportErrorCode::PROTOCOL_VIOLATION,
                frame: None,
                reason: format!("TLS: {error}"),
            },
        })?;
        let first = !self.announced && !tls.is_handshaking();
        self.announced |= first;
        Ok(first)
    }

    fn transport_parameters(&self) -> Result<Option<TransportParameters>, TransportError> {
        let Tls::Live(tls) = &self.tls else { return Ok(None) };
        tls.quic_transport_parameters()
            .map(|bytes| TransportParameters::read(self.side, &mut Cursor::new(bytes)))
            .transpose()
            .map_err(TransportError::from)
    }

    fn write_handshake(&mut self, buffer: &mut Vec<u8>) -> Option<Keys> {
        let Tls::Live(tls) = &mut self.tls else { return None };
        let keys = match tls.write_hs(buffer) {
            Some(KeyChange::Handshake { keys }) => keys,
            Some(KeyChange::OneRtt { keys, next }) => {
                self.next_secrets = Some(next);
                keys
            }
            None => {
                if self.side.is_server() && buffer.is_empty() && !tls.is_handshaking() {
                    let outcome = Outcome { negotiated: Some(negotiated(tls)), chain: peer_chain(tls) };
                    self.tls = Tls::Complete(Mutex::new(outcome));
                }
                return None;
            }
        };
        Some(pair(keys.local, keys.remote))
    }

    fn next_1rtt_keys(&mut self) -> Option<KeyPair<Box<dyn crypto::PacketKey>>> {
        let keys = self.next_secrets.as_mut()?.next_packet_keys();
        Some(KeyPair { local: Box::new(keys.local), remote: Box::new(keys.remote) })
    }

    fn is_valid_retry(&self, original: &ConnectionId, header: &[u8], payload: &[u8]) -> bool {
        let Some(split) = payload.len().checked_sub(RETRY_TAG_LENGTH) else {
            return false;
        };
        let (token, tag) = payload.split_at(split);
        retry_tag(original, &[header, token].concat()).is_some_and(|expected| expected == tag)
    }

    fn export_keying_material(
        &self,
        output: &mut [u8],
        label: &[u8],
        context: &[u8],
    ) -> Result<(), ExportKeyingMaterialError> {
        let Tls::Live(tls) = &self.tls else { return Err(ExportKeyingMaterialError) };
        tls.export_keying_material(output, label, Some(context)).map(|_| ()).map_err(|_| ExportKeyingMaterialError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use crate::fuzz::{Random, fuzz, runs};
    use crate::tls::material::tests::{material, pem};
    use crate::tls::material::{client_config, server_config};
    use quinn_proto::crypto::{ClientConfig as _, ServerConfig as _};

    /// Flights of a handshake: ClientHello, ServerHello, the rest of the server's, the rest of the client's.
    const FLIGHTS: usize = 4;

    /// Runs a handshake in which `change` has its hand on each flight, until a side refuses or nobody has more to
    /// say, and asks the sides all that quinn asks. True when it came to its end.
    fn handshake(client: &Arc<ClientTls>, server: &Arc<ServerTls>, mut change: impl FnMut(Vec<u8>) -> Vec<u8>) -> bool {
        let params = TransportParameters::read(Side::Server, &mut Cursor::new([])).expect("the defaults");
        let client = Arc::clone(client).start_session(QUIC_V1, "localhost", &params).expect("a client");
        let mut sides = [client, Arc::clone(server).start_session(QUIC_V1, &params)];
        loop {
            let mut silent = true;
            for (from, to) in [(0, 1), (1, 0)] {
                // One flight an encryption level (RFC 9001 section 4.1.3).
                loop {
                    let mut flight = Vec::new();
                    let keys = sides[from].write_handshake(&mut flight);
                    if !flight.is_empty() {
                        silent = false;
                        flight = change(flight);
                    }
                    let read = sides[to].read_handshake(&flight);
                    let params = sides[to].transport_parameters();
                    drop((sides[to].handshake_data(), sides[to].peer_identity(), sides[to].next_1rtt_keys()));
                    if read.is_err() || params.is_err() {
                        return false;
                    }
                    if keys.is_none() {
                        break;
                    }
                }
            }
            if silent {
                return sides.iter().all(|side| !side.is_handshaking());
            }
        }
    }

    #[test]
    fn a_handshake_bears_every_change_and_ends_only_unchanged() {
        let (alpn, material) = (["h3".to_owned()], material(&pem()));
        let client = client_config(&material, &alpn).and_then(ClientTls::new).map(Arc::new).expect("a client");
        let server = server_config(&material, &alpn).and_then(ServerTls::new).map(Arc::new).expect("a server");
        assert!(handshake(&client, &server, |flight| flight));
        let mut random = Random::fresh();
        for run in 0..runs(1_000) {
            let (mut number, mut wire, mut differs) = (0, Vec::new(), false);
            let change = |flight: Vec<u8>| {
                number += 1;
                if number - 1 != run % FLIGHTS {
                    return flight;
                }
                wire = random.changed(&flight);
                differs = wire != flight;
                wire.clone()
            };
            let ended = catch_unwind(AssertUnwindSafe(|| handshake(&client, &server, change)));
            assert!(ended.is_ok_and(|ended| !(ended && differs)), "flight {} was {wire:02x?}", run % FLIGHTS);
        }
    }

    #[test]
    fn a_retry_is_valid_only_as_it_was_sent() {
        let (alpn, material) = (["h3".to_owned()], material(&pem()));
        let params = TransportParameters::read(Side::Server, &mut Cursor::new([])).expect("the defaults");
        let client = client_config(&material, &alpn).and_then(ClientTls::new).map(Arc::new).expect("a client");
        let session = client.start_session(QUIC_V1, "localhost", &params).expect("a session");
        let (original, header, token) = (ConnectionId::new(&[7; 8]), [0xff, 0, 0, 0, 1, 0, 0], *b"token");
        let tag = retry_tag(&original, &[&header[..], &token].concat()).expect("a tag");
        let sent = [&token[..], &tag].concat();
        fuzz(std::slice::from_ref(&sent), 20_000, |payload| {
            assert_eq!(session.is_valid_retry(&original, &header, payload), payload == sent);
        });
    }

    /// RFC 9001 appendix A.4.
    #[test]
    fn retry_tag_of_the_rfc() {
        let original = ConnectionId::new(&[0x83, 0x94, 0xc8, 0xf0, 0x3e, 0x51, 0x57, 0x08]);
        let packet = [
            0xff, 0x00, 0x00, 0x00, 0x01, 0x00, 0x08, 0xf0, 0x67, 0xa5, 0x50, 0x2a, 0x42, 0x62, 0xb5, 0x74, 0x6f, 0x6b,
            0x65, 0x6e,
        ];
        let tag = [0x04, 0xa2, 0x65, 0xba, 0x2e, 0xff, 0x4d, 0x82, 0x90, 0x58, 0xfb, 0x3f, 0x0f, 0x24, 0x96, 0xba];
        assert_eq!(retry_tag(&original, &packet), Some(tag));
    }
}
