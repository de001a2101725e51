//! `TransportOptions` of shared/native/quic.ts into quinn's configuration.

use std::sync::Arc;
use std::time::Duration;

use napi_derive::napi;

use crate::constants::{
    CONNECTION_RECEIVE_WINDOW, DATAGRAM_RECEIVE_QUEUE, DATAGRAM_SEND_QUEUE, IDLE_TIMEOUT, INITIAL_MTU, KEEP_ALIVE,
    MAX_BIDI_STREAMS, MAX_UNI_STREAMS, SEND_WINDOW, STREAM_RECEIVE_WINDOW,
};
use crate::failure::{Code, Result, failure};
use crate::quic::lib_alias::{IdleTimeout, MtuDiscoveryConfig, TransportConfig, congestion};

#[napi(object, object_to_js = false)]
#[derive(Default)]
pub struct TransportInput {
    pub idle_timeout_ms: Option<u32>,
    pub keep_alive_ms: Option<u32>,
    pub max_bidi_streams: Option<u32>,
    pub max_uni_streams: Option<u32>,
    pub stream_receive_window: Option<u32>,
    pub connection_receive_window: Option<u32>,
    pub send_window: Option<u32>,
    pub stream_send_queue: Option<u32>,
    pub congestion: Option<String>,
    pub initial_mtu: Option<u32>,
}

fn milliseconds(given: Option<u32>, default: Duration) -> Duration {
    given.map_or(default, |ms| Duration::from_millis(u64::from(ms)))
}

pub fn transport_config(input: &TransportInput) -> Result<Arc<TransportConfig>> {
    let wrong = |what: String| failure(Code::Udp, what);
    let idle = IdleTimeout::try_from(milliseconds(input.idle_timeout_ms, IDLE_TIMEOUT))
        .map_err(|_| wrong("idleTimeoutMs: too long for QUIC (RFC 9000 section 18.2)".into()))?;
    let mtu = match input.initial_mtu {
        None => INITIAL_MTU,
        Some(mtu) => u16::try_from(mtu)
            .ok()
            .filter(|mtu| *mtu >= INITIAL_MTU)
            .ok_or_else(|| wrong(format!("initialMtu {mtu}: expected 1200 to 65535 bytes (RFC 9000 section 14)")))?,
    };
    let mut config = TransportConfig::default();
    config
        .max_idle_timeout(Some(idle))
        .keep_alive_interval(Some(milliseconds(input.keep_alive_ms, KEEP_ALIVE)).filter(|time| !time.is_zero()))
        .max_concurrent_bidi_streams(input.max_bidi_streams.unwrap_or(MAX_BIDI_STREAMS).into())
        .max_concurrent_uni_streams(input.max_uni_streams.unwrap_or(MAX_UNI_STREAMS).into())
        .stream_receive_window(input.stream_receive_window.unwrap_or(STREAM_RECEIVE_WINDOW).into())
        .receive_window(input.connection_receive_window.unwrap_or(CONNECTION_RECEIVE_WINDOW).into())
        .send_window(input.send_window.map_or(SEND_WINDOW, u64::from))
        .datagram_receive_buffer_size(Some(DATAGRAM_RECEIVE_QUEUE))
        .datagram_send_buffer_size(DATAGRAM_SEND_QUEUE)
        .initial_mtu(mtu)
        .mtu_discovery_config(Some(MtuDiscoveryConfig::default()));
    match input.congestion.as_deref() {
        // The TCP flows inside share one congestion window: with a loss-based control, 1 % of loss leaves them a
        // tenth of what BBR does (docs/performance.md).
        None | Some("bbr") => config.congestion_controller_factory(Arc::new(congestion::BbrConfig::default())),
        Some("cubic") => config.congestion_controller_factory(Arc::new(congestion::CubicConfig::default())),
        Some("newreno") => config.congestion_controller_factory(Arc::new(congestion::NewRenoConfig::default())),
        Some(other) => {
            return Err(wrong(format!("congestion {other:?}: expected cubic, bbr or newreno")));
        }
    };
    Ok(Arc::new(config))
}
