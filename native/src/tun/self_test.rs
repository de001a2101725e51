//! Does this kernel carry super-packets, and carry them right? Some have refused them, or have summed up UDP wrongly
//! when they cut them; so it is tried on the very device, before that has an address or a route.
//!
//!   for each kind: plain packet ▸ device ▸ bounce ▸ device                            ▸ does it come back at all?
//!                  super-packet ▸ device ▸ bounce ▸ device, set to take segments      ▸ are they the right ones?
//!                  super-packet ▸ device ▸ bounce ▸ device, set to take super-packets ▸ is it the same one?
//!
//! Where plain packets do not come back (no traffic control in the kernel) it shows only that super-packets are taken.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;

use crate::constants::{MAX_FRAME, SELF_TEST_TIMEOUT};
use crate::tun::bounce::Bounce;
use crate::tun::offload::Offloads;
use crate::tun::super_packet::Kind;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// What came back is right, byte for byte.
    Right,
    /// It was written without complaint; why what became of it is not known.
    Taken(String),
    /// The kernel does not know this kind.
    Unknown,
    /// The kernel refused to take it.
    Refused(String),
    /// What came back is wrong.
    Wrong(String),
}

impl Verdict {
    fn is_good(&self) -> bool {
        matches!(self, Verdict::Right | Verdict::Taken(_))
    }
}

pub struct Finding {
    pub kind: Kind,
    pub verdict: Verdict,
}

/// What may be used.
pub fn usable(findings: &[Finding]) -> Offloads {
    let good = |kind| findings.iter().any(|finding| finding.kind == kind && finding.verdict.is_good());
    Offloads { tso4: good(Kind::Tso4), tso6: good(Kind::Tso6), uso: good(Kind::Uso4) && good(Kind::Uso6) }
}

/// The device is up, has no address, and has packets with a header. Its offloads are any when this returns. An error:
/// it cannot be used, because it was not brought back into the state it was in.
pub fn run(device: &File, index: u32) -> io::Result<Vec<Finding>> {
    let known = [Offloads::ALL, Offloads::TCP].into_iter().find(|offloads| offloads.set(device).is_ok());
    let bounce = Bounce::start(index);
    let examine = |kind: Kind| match known {
        Some(known) if known.uso || !kind.is_udp() => examine(device, kind, known, &bounce),
        _ => Verdict::Unknown,
    };
    let findings = Kind::ALL.map(|kind| Finding { kind, verdict: examine(kind) });
    bounce.map_or(Ok(()), Bounce::stop)?;
    // What was not waited for is nobody's.
    let mut rest = vec![0; MAX_FRAME];
    while (&*device).read(&mut rest).is_ok() {}
    Ok(findings.into())
}

fn examine(mut device: &File, kind: Kind, known: Offloads, bounce: &io::Result<Bounce>) -> Verdict {
    let written = kind.super_packet();
    let unseen = match bounce {
        Ok(_) if comes_back(device, kind).unwrap_or(false) => None,
        Ok(_) => Some("plain packets did not come back either".to_owned()),
        Err(error) => Some(format!("it could not be read back, traffic control: {error}")),
    };
    let passes = [(Offloads::NONE, kind.segments()), (known, vec![written.clone()])];
    for (offloads, expected) in passes {
        if let Err(error) = offloads.set(device).and_then(|()| device.write_all(&written)) {
            return Verdict::Refused(error.to_string());
        }
        if let Some(why) = unseen {
            return Verdict::Taken(why);
        }
        match read_back(device, kind, expected.len()) {
            Ok(found) => {
                if let Some(difference) = difference(&expected, &found) {
                    return Verdict::Wrong(difference);
                }
            }
            Err(error) => return Verdict::Wrong(error.to_string()),
        }
    }
    Verdict::Right
}

fn comes_back(mut device: &File, kind: Kind) -> io::Result<bool> {
    device.write_all(&kind.plain_packet())?;
    Ok(read_back(device, kind, 1)?.len() == 1)
}

/// The next `count` frames of ours; fewer when the others do not come in time.
fn read_back(mut device: &File, kind: Kind, count: usize) -> io::Result<Vec<Vec<u8>>> {
    let mut buffer = vec![0; MAX_FRAME];
    let mut found = Vec::new();
    while found.len() < count {
        match device.read(&mut buffer) {
            Ok(length) if kind.sent(&buffer[..length]) => found.push(buffer[..length].to_vec()),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if !wait_readable(device)? {
                    break;
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

/// With receive packet steering (RPS), another core brings the frames. False: they did not come.
fn wait_readable(device: &File) -> io::Result<bool> {
    let mut poll = libc::pollfd { fd: device.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one live pollfd, as the count says.
    match unsafe { libc::poll(&raw mut poll, 1, SELF_TEST_TIMEOUT.as_millis() as libc::c_int) } {
        0 => Ok(false),
        1.. => Ok(true),
        _ => Err(io::Error::last_os_error()),
    }
}

/// What is wrong with the frames found; `None` when they are those expected.
fn difference(expected: &[Vec<u8>], found: &[Vec<u8>]) -> Option<String> {
    if found.len() < expected.len() {
        return Some(format!("{} of {} packets came back", found.len(), expected.len()));
    }
    expected.iter().zip(found).enumerate().find_map(|(number, (expected, found))| {
        if expected.len() != found.len() {
            return Some(format!("packet {number} has {} bytes instead of {}", found.len(), expected.len()));
        }
        let at = (0..expected.len()).find(|at| !HEADER_LENGTH_FIELD.contains(at) && expected[*at] != found[*at])?;
        Some(format!("byte {at} of packet {number} is {:#04x} instead of {:#04x}", found[at], expected[at]))
    })
}

/// Of `virtio_net_hdr`: the kernel gives anything on forwarded packets, so nobody goes by it.
const HEADER_LENGTH_FIELD: std::ops::Range<usize> = 2..4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_usable() {
        let right = || Verdict::Right;
        let taken = || Verdict::Taken("no traffic control".into());
        let refused = || Verdict::Refused("Invalid argument (os error 22)".into());
        let wrong = || Verdict::Wrong("byte 36 of packet 0 is 0x00 instead of 0x01".into());
        let unknown = || Verdict::Unknown;
        for (verdicts, usable_ones) in [
            ([right(), right(), right(), right()], Offloads::ALL),
            ([taken(), taken(), taken(), taken()], Offloads::ALL),
            ([right(), right(), unknown(), unknown()], Offloads::TCP),
            ([right(), right(), right(), wrong()], Offloads::TCP),
            ([right(), right(), refused(), right()], Offloads::TCP),
            ([refused(), right(), right(), right()], Offloads { tso4: false, ..Offloads::ALL }),
            ([right(), wrong(), unknown(), unknown()], Offloads { tso4: true, ..Offloads::NONE }),
            ([refused(), refused(), refused(), refused()], Offloads::NONE),
            ([unknown(), unknown(), unknown(), unknown()], Offloads::NONE),
        ] {
            let findings: Vec<Finding> =
                Kind::ALL.into_iter().zip(verdicts).map(|(kind, verdict)| Finding { kind, verdict }).collect();
            let verdicts: Vec<&Verdict> = findings.iter().map(|finding| &finding.verdict).collect();
            assert_eq!(usable(&findings), usable_ones, "{verdicts:?}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for kind in Kind::ALL {
            let right = kind.segments();
            let change = |change: &dyn Fn(&mut Vec<Vec<u8>>)| {
                let mut found = right.clone();
                change(&mut found);
                difference(&right, &found)
            };
            assert_eq!(difference(&right, &right), None, "{kind:?}");
            assert_eq!(change(&|found| found[0][2] = 99), None, "the header's length");
            assert_eq!(change(&|found| drop(found.pop())).as_deref(), Some("2 of 3 packets came back"));
            assert_eq!(change(&|found| found[1].truncate(5)).map(|text| text.contains("has 5 bytes")), Some(true));
            for (number, segment) in right.iter().enumerate() {
                for at in (0..segment.len()).filter(|at| !HEADER_LENGTH_FIELD.contains(at)) {
                    let text = change(&|found| found[number][at] ^= 1);
                    let starts = format!("byte {at} of packet {number} is ");
                    assert!(text.is_some_and(|text| text.starts_with(&starts)), "{kind:?}, {starts}");
                }
            }
        }
    }
}
