//! Everything that is written to a device comes back out of it, and nothing reaches the IP stack: a redirection of
//! traffic control (tc-mirred(8)) from the device's ingress to its own egress. So the kernel treats a super-packet as
//! one that it forwards, without an address, a route, forwarding or a packet filter having a part in it.
//!
//! The same as:
//!
//! ```sh
//! tc qdisc add dev $DEVICE clsact
//! tc filter add dev $DEVICE ingress protocol all u32 match u32 0 0 action mirred egress redirect dev $DEVICE
//! tc qdisc del dev $DEVICE clsact
//! ```

use std::io;

use crate::tun::netlink::Request;

// linux/rtnetlink.h
const RTM_NEWQDISC: u16 = 36;
const RTM_DELQDISC: u16 = 37;
const RTM_NEWTFILTER: u16 = 44;
const TCA_KIND: u16 = 1;
const TCA_OPTIONS: u16 = 2;
// linux/pkt_sched.h
const TC_H_CLSACT: u32 = 0xffff_fff1;
const TC_H_INGRESS_FILTERS: u32 = 0xffff_fff2;
const CLSACT_HANDLE: u32 = 0xffff_0000;
// linux/pkt_cls.h
const TCA_U32_SEL: u16 = 5;
const TCA_U32_ACT: u16 = 7;
const TCA_ACT_KIND: u16 = 1;
const TCA_ACT_OPTIONS: u16 = 2;
const TC_U32_TERMINAL: u8 = 1;
const TC_ACT_STOLEN: u32 = 4;
// linux/tc_act/tc_mirred.h
const TCA_MIRRED_PARMS: u16 = 2;
const TCA_EGRESS_REDIR: u32 = 1;

/// The priority of the only filter there is, in the upper half, and its protocol: ETH_P_ALL, big-endian.
const FIRST_OF_ALL_PROTOCOLS: u32 = (1 << 16) | (libc::ETH_P_ALL as u16).to_be() as u32;

/// In force from `start` to `stop`, or until the device is gone.
pub struct Bounce {
    index: u32,
}

impl Bounce {
    /// `index`: of the interface, which has no ingress discipline yet.
    pub fn start(index: u32) -> io::Result<Bounce> {
        let flags = libc::NLM_F_CREATE | libc::NLM_F_EXCL;
        let discipline = traffic_message(index, CLSACT_HANDLE, TC_H_CLSACT, 0);
        Request::new(RTM_NEWQDISC, flags, &discipline).attribute(TCA_KIND, b"clsact\0").send()?;
        let bounce = Bounce { index };
        match bounce.add_filter() {
            Ok(()) => Ok(bounce),
            Err(error) => {
                bounce.stop()?;
                Err(error)
            }
        }
    }

    pub fn stop(self) -> io::Result<()> {
        let discipline = traffic_message(self.index, CLSACT_HANDLE, TC_H_CLSACT, 0);
        Request::new(RTM_DELQDISC, 0, &discipline).send()
    }

    fn add_filter(&self) -> io::Result<()> {
        // struct tc_u32_sel with one struct tc_u32_key, whose mask of 0 matches everything.
        let mut selector = [0; 32];
        selector[0] = TC_U32_TERMINAL;
        selector[2] = 1;
        // struct tc_mirred: index, capab, action, refcnt, bindcnt, eaction, ifindex
        let redirection = [0, 0, TC_ACT_STOLEN, 0, 0, TCA_EGRESS_REDIR, self.index].map(u32::to_ne_bytes).concat();
        let first_action = 1;
        let flags = libc::NLM_F_CREATE | libc::NLM_F_EXCL;
        let filter = traffic_message(self.index, 0, TC_H_INGRESS_FILTERS, FIRST_OF_ALL_PROTOCOLS);
        Request::new(RTM_NEWTFILTER, flags, &filter)
            .attribute(TCA_KIND, b"u32\0")
            .nested(TCA_OPTIONS, |options| {
                options.attribute(TCA_U32_SEL, &selector).nested(TCA_U32_ACT, |actions| {
                    actions.nested(first_action, |action| {
                        action
                            .attribute(TCA_ACT_KIND, b"mirred\0")
                            .nested(TCA_ACT_OPTIONS, |options| options.attribute(TCA_MIRRED_PARMS, &redirection))
                    })
                })
            })
            .send()
    }
}

/// `struct tcmsg` (linux/rtnetlink.h).
fn traffic_message(index: u32, handle: u32, parent: u32, info: u32) -> Vec<u8> {
    [0, index, handle, parent, info].map(u32::to_ne_bytes).concat()
}
