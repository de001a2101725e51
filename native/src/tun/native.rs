//! The TUN device as JavaScript sees it: system calls on the thread of the event loop, straight into and out
//! of the slab. A thread of its own would cost more in hand-over than it saves.

use std::cell::RefCell;
use std::io;
use std::os::fd::AsRawFd;
use std::rc::Rc;

use napi_derive::napi;

use crate::constants::{MAX_FRAME, READ_FRAMES};
use crate::event_loop::{Callback, Readiness, Target};
use crate::failure::{Code, Failure, Result, failure};
use crate::functions::Functions;
use crate::slab::Slab;
use crate::tun::device::Device;
use crate::tun::ready::ReadySet;
use crate::tun::self_test::{Finding, Verdict};
use crate::tun::turns::Turns;

/// Bytes of the length in front of a frame.
const LENGTH_BYTES: usize = 2;
/// Bytes of `virtio_net_hdr` that are 0 where nothing is left to the kernel: `flags` and `gso_type`.
const FLAGS_AND_TYPE: usize = 2;

/// What is open: taken by `close` or by the end of the environment, whichever comes first.
struct Running {
    readiness: Readiness,
    device: Device,
    /// Absent with one queue.
    ready: Option<ReadySet>,
    turns: Turns,
}

/// `TunFeatures` of shared/native/tun.ts.
#[napi(object, object_from_js = false)]
pub struct NativeTunFeatures {
    pub vnet_header: bool,
    pub tso4: bool,
    pub tso6: bool,
    pub uso4: bool,
    pub uso6: bool,
    pub steered: bool,
}

/// `OffloadFinding` of shared/native/tun.ts.
#[napi(object, object_from_js = false)]
pub struct NativeOffloadFinding {
    pub kind: &'static str,
    pub verdict: &'static str,
    pub detail: Option<String>,
}

/// `TunStats` of shared/native/tun.ts.
#[napi(object, object_from_js = false)]
#[derive(Clone, Copy, Default)]
pub struct NativeTunStats {
    pub read_packets: f64,
    pub written_packets: f64,
    pub refused_packets: f64,
    pub refused_offloads: f64,
    pub overflow_packets: f64,
}

struct Shared {
    running: RefCell<Option<Running>>,
    stats: RefCell<NativeTunStats>,
    /// A slab with less room than this is full.
    largest: usize,
}

#[napi]
pub struct NativeTun {
    shared: Rc<Shared>,
}

fn closed() -> Failure {
    failure(Code::Tun, "the TUN device is closed")
}

impl Shared {
    fn close(&self) {
        let running = self.running.borrow_mut().take();
        if let Some(running) = running {
            // libuv lets go of the descriptor first, then dropping the rest closes it.
            running.readiness.close();
        }
    }

    fn read(&self, mut slab: Slab, from: u32, to: u32) -> Result<i64> {
        let mut running = self.running.borrow_mut();
        let Running { device, ready, turns, .. } = running.as_mut().ok_or_else(closed)?;
        let target = slab.range(from, to)?;
        match ready {
            Some(ready) => turns.begin(ready.look()),
            None => turns.begin(std::iter::once(0)),
        }
        let mut stats = self.stats.borrow_mut();
        let mut done = 0;
        let mut left = READ_FRAMES;
        while left > 0
            && target.len() - done >= LENGTH_BYTES + self.largest
            && let Some(queue) = turns.current()
        {
            let frame = done + LENGTH_BYTES;
            let end = target.len().min(frame + MAX_FRAME);
            match device.read(queue, &mut target[frame..end]) {
                Ok(Some(0)) | Ok(None) => turns.emptied(),
                Ok(Some(length)) => {
                    target[done..frame].copy_from_slice(&(length as u16).to_be_bytes());
                    stats.read_packets += 1.0;
                    done = frame + length;
                    left -= 1;
                    turns.took(LENGTH_BYTES + length);
                }
                Err(error) if done > 0 || is_transient(&error) => turns.emptied(),
                Err(error) => return Err(failure(Code::Tun, format!("TUN device {}: read: {error}", device.name))),
            }
        }
        Ok(done as i64)
    }

    /// The remainder of `queue` by the number of queues is the one to write to. Returns where it stopped: before a
    /// frame whose header the kernel refused, or at `to`.
    fn write(&self, mut slab: Slab, from: u32, to: u32, queue: u32) -> Result<i64> {
        let running = self.running.borrow();
        let device = &running.as_ref().ok_or_else(closed)?.device;
        let queue = queue as usize % device.queues.len();
        let frames = slab.range(from, to)?;
        check_whole(frames)?;
        let mut stats = self.stats.borrow_mut();
        let mut rest = &*frames;
        while let Some((frame, next)) = split_frame(rest) {
            match device.write(queue, frame) {
                Ok(()) => stats.written_packets += 1.0,
                Err(error) if is_full(&error) => stats.overflow_packets += 1.0,
                Err(error) if device.features.vnet_header && is_offload_refused(&error, frame) => {
                    stats.refused_offloads += 1.0;
                    return Ok(i64::from(to) - rest.len() as i64);
                }
                Err(_) => stats.refused_packets += 1.0,
            }
            rest = next;
        }
        Ok(i64::from(to))
    }
}

#[napi]
impl NativeTun {
    /// `readable` is called again and again while the device has something and `watch(true)` is in force.
    #[napi(factory)]
    pub fn open(
        name: String,
        mtu: u32,
        offload: bool,
        queues: u32,
        steering: Option<i32>,
        readable: Callback,
    ) -> Result<NativeTun> {
        let device = Device::open(&name, mtu, offload, queues.max(1), steering)?;
        let ready = if device.queues.len() > 1 {
            let ready = ReadySet::new(&device.queues);
            Some(ready.map_err(|error| failure(Code::Tun, format!("TUN device {name}: epoll: {error}")))?)
        } else {
            None
        };
        let watched = ready.as_ref().map_or_else(|| device.queues[0].as_raw_fd(), ReadySet::fd);
        let largest = if device.features.vnet_header { MAX_FRAME } else { (mtu as usize).min(MAX_FRAME) };
        let shared = Rc::new(Shared { running: RefCell::default(), stats: RefCell::default(), largest });
        let at_exit = Rc::clone(&shared);
        let teardown = Box::new(move || at_exit.close());
        let readiness = Readiness::open(readable.environment(), Target::Function(readable), watched, teardown)?;
        let turns = Turns::new(device.queues.len());
        *shared.running.borrow_mut() = Some(Running { readiness, device, ready, turns });
        Ok(NativeTun { shared })
    }

    #[napi(getter)]
    pub fn features(&self) -> Result<NativeTunFeatures> {
        let running = self.shared.running.borrow();
        let features = running.as_ref().ok_or_else(closed)?.device.features;
        Ok(NativeTunFeatures {
            vnet_header: features.vnet_header,
            tso4: features.offloads.tso4,
            tso6: features.offloads.tso6,
            uso4: features.offloads.uso,
            uso6: features.offloads.uso,
            steered: features.steered,
        })
    }

    #[napi]
    pub fn offload_findings(&self) -> Result<Vec<NativeOffloadFinding>> {
        let running = self.shared.running.borrow();
        let findings = &running.as_ref().ok_or_else(closed)?.device.findings;
        Ok(findings.iter().map(described).collect())
    }

    #[napi]
    pub fn watch(&self, on: bool) {
        if let Some(running) = self.shared.running.borrow().as_ref() {
            if on {
                running.readiness.start();
            } else {
                running.readiness.stop();
            }
        }
    }

    /// `read` and `write` of `NativeTunFunctions` in shared/native/binding.ts.
    #[napi]
    pub fn functions(&self) -> Functions<2> {
        let (reader, writer) = (Rc::clone(&self.shared), Rc::clone(&self.shared));
        Functions([
            ("read", Box::new(move |call| reader.read(call.slab(0)?, call.number(1)?, call.number(2)?))),
            (
                "write",
                Box::new(move |call| writer.write(call.slab(0)?, call.number(1)?, call.number(2)?, call.number(3)?)),
            ),
        ])
    }

    #[napi]
    pub fn stats(&self) -> NativeTunStats {
        *self.shared.stats.borrow()
    }

    /// The interface is gone when this returns. Idempotent.
    #[napi]
    pub fn close(&self) {
        self.shared.close();
    }
}

/// The device is down for the moment (`EIO`): it has nothing to read then.
fn is_transient(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EIO | libc::EINTR))
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::ENOBUFS | libc::ENOMEM))
}

/// EINVAL may be due to the `virtio_net_hdr` (`virtio_net_hdr_to_skb` in linux/virtio_net.h), where it says anything.
fn is_offload_refused(error: &io::Error, frame: &[u8]) -> bool {
    error.raw_os_error() == Some(libc::EINVAL) && frame.iter().take(FLAGS_AND_TYPE).any(|&byte| byte != 0)
}

fn described(finding: &Finding) -> NativeOffloadFinding {
    let (verdict, detail) = match &finding.verdict {
        Verdict::Right => ("right", None),
        Verdict::Taken(why) => ("taken", Some(why.clone())),
        Verdict::Unknown => ("unknown", None),
        Verdict::Refused(error) => ("refused", Some(error.clone())),
        Verdict::Wrong(how) => ("wrong", Some(how.clone())),
    };
    NativeOffloadFinding { kind: finding.kind.name(), verdict, detail }
}

/// The first frame without its length, and what is behind it; `None` when it does not end within the bytes.
fn split_frame(frames: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = frames.split_at_checked(LENGTH_BYTES)?;
    rest.split_at_checked(usize::from(u16::from_be_bytes([length[0], length[1]])))
}

/// Every frame ends within the range, and the last one at its end.
fn check_whole(frames: &[u8]) -> Result<()> {
    let mut rest = frames;
    while !rest.is_empty() {
        (_, rest) = split_frame(rest).ok_or_else(|| not_whole(frames.len() - rest.len()))?;
    }
    Ok(())
}

fn not_whole(at: usize) -> Failure {
    failure(Code::Range, format!("the frame at byte {at} of the range does not end within it"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fuzz::fuzz;

    #[test]
    fn frames_that_are_whole_are_written_to_the_last_byte() {
        let valid = [vec![0, 1, 9, 0, 2, 7, 7], [&[0, 40][..], &[0x45; 40], &[0, 0]].concat()];
        fuzz(&valid, 20_000, |bytes| {
            let (mut rest, mut written) = (bytes, Vec::new());
            while let Some((frame, next)) = split_frame(rest) {
                written.extend_from_slice(&(frame.len() as u16).to_be_bytes());
                written.extend_from_slice(frame);
                rest = next;
            }
            assert!(bytes.starts_with(&written));
            assert_eq!(check_whole(bytes).is_ok(), written.len() == bytes.len());
        });
    }

    #[test]
    fn whole_frames() {
        for (bytes, whole) in [
            (&[][..], true),
            (&[0, 0], true),
            (&[0, 1, 9], true),
            (&[0, 1, 9, 0, 2, 7, 7], true),
            (&[0], false),
            (&[0, 2, 9], false),
            (&[0, 1, 9, 0], false),
            (&[255, 255, 0], false),
        ] {
            assert_eq!(check_whole(bytes).is_ok(), whole, "{bytes:?}");
        }
    }
}
