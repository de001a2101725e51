//! The edge of zgate towards the operating system: one QUIC endpoint and one TUN device, nothing more.
//! TypeScript sees this through `shared/native/addon.ts`; the contract is `shared/native/{quic,tun}.ts`.

mod constants;
mod event_loop;
mod executor;
mod failure;
mod functions;
#[cfg(test)]
mod fuzz;
mod lock;
mod places;
// Called by JavaScript only.
#[cfg(not(test))]
mod privileges;
mod quic;
mod slab;
mod system;
mod tls;
mod tun;
