//! What an endpoint must have again after a restart, so that peers of the process before it are told at once
//! that their connections are gone (stateless reset, RFC 9000 section 10.3).
//!
//! Both keys come from the server's private key: nothing has to be stored, and nobody else can make them.

use std::sync::Arc;

use aws_lc_rs::hmac;

use crate::quic::lib_alias::{EndpointConfig, HashedConnectionIdGenerator};

/// Names of the keys that are derived; they keep the two apart.
const RESET_LABEL: &[u8] = b"zgate stateless reset";
const CONNECTION_ID_LABEL: &[u8] = b"zgate connection id";

/// The configuration of an endpoint whose server has this private key; a random one without a server.
pub fn endpoint_config(private_key_pem: Option<&str>) -> EndpointConfig {
    let Some(pem) = private_key_pem else { return EndpointConfig::default() };
    let secret = hmac::Key::new(hmac::HMAC_SHA256, pem.as_bytes());
    let reset = hmac::sign(&secret, RESET_LABEL);
    let mut config = EndpointConfig::new(Arc::new(hmac::Key::new(hmac::HMAC_SHA256, reset.as_ref())));
    let signature = hmac::sign(&secret, CONNECTION_ID_LABEL);
    let key = signature.as_ref().iter().take(size_of::<u64>()).fold(0, |key, byte| key << 8 | u64::from(*byte));
    // The default generator has a random key and drops, unanswered, what carries an id of the process before.
    config.cid_generator(move || Box::new(HashedConnectionIdGenerator::from_key(key)));
    config
}
