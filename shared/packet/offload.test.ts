import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { extension, hex, icmp, ipv4, ipv6, tcp, udp } from "./fixture.ts";
import { checkOffload } from "./offload.ts";
import { PacketView } from "./view.ts";
import { VNET_HEADER, VnetHeader } from "./vnet-header.ts";

type Fields = Partial<Pick<VnetHeader, "flags" | "gsoType" | "hdrLen" | "gsoSize" | "csumStart" | "csumOffset">>;

function check(packet: Uint8Array, fields: Fields, mtu = 1500): { fault: string | undefined; header: VnetHeader } {
  const view = new PacketView();
  assert.ok(view.parse(packet, 0, packet.length));
  const header = Object.assign(new VnetHeader(), fields);
  return { fault: checkOffload(header, view, mtu), header };
}

describe("VnetHeader", () => {
  test("the bytes", () => {
    const header = new VnetHeader();
    const bytes = hex("01 81 3600 a805 1400 1000");
    header.read(bytes, 0);
    assert.deepEqual(
      { ...header },
      { flags: 1, gsoType: 0x81, hdrLen: 54, gsoSize: 1448, csumStart: 20, csumOffset: 16 },
    );
    const out = new Uint8Array(VNET_HEADER + 2);
    header.write(out, 1);
    assert.deepEqual(out.slice(1, 11), bytes);
    header.clear();
    header.write(out, 1);
    assert.deepEqual(out, new Uint8Array(12));
  });

  test("round trip", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: VNET_HEADER, maxLength: VNET_HEADER }), (bytes) => {
        const header = new VnetHeader();
        header.read(bytes, 0);
        const out = new Uint8Array(VNET_HEADER);
        header.write(out, 0);
        assert.deepEqual(out, bytes);
      }),
    );
  });
});

describe("checkOffload", () => {
  const big = Array(4_000).fill(1);
  const tcp4 = ipv4({ protocol: 6, payload: tcp({ data: big, options: [1, 1, 8, 10, 0, 0, 0, 0, 0, 0, 0, 0] }) });
  const tcp6 = ipv6({ protocol: 6, payload: tcp({ data: big }) });
  const udp4 = ipv4({ payload: udp(1, 2, big) });
  const udpDatagram = ipv4({ payload: udp(1, 2, [1, 2]) });
  const gso4 = { flags: 1, gsoType: 1, gsoSize: 1448, csumStart: 20, csumOffset: 16 };
  const gsoUdp = { flags: 1, gsoType: 5, gsoSize: 1000, csumStart: 20, csumOffset: 6 };

  const good: { name: string; packet: Uint8Array; fields: Fields; hdrLen: number; mtu?: number }[] = [
    { name: "nothing asked", packet: udpDatagram, fields: {}, hdrLen: 28 },
    { name: "a wrong hdr_len is put right", packet: udpDatagram, fields: { hdrLen: 9_999 }, hdrLen: 28 },
    {
      name: "an open UDP checksum",
      packet: udpDatagram,
      fields: { flags: 1, csumStart: 20, csumOffset: 6 },
      hdrLen: 28,
    },
    { name: "TSO over IPv4", packet: tcp4, fields: gso4, hdrLen: 52 },
    { name: "TSO with ECN", packet: tcp4, fields: { ...gso4, gsoType: 0x81 }, hdrLen: 52 },
    { name: "TSO over IPv6", packet: tcp6, fields: { ...gso4, gsoType: 4, gsoSize: 1440, csumStart: 40 }, hdrLen: 60 },
    {
      name: "TSO behind extension headers",
      packet: ipv6({ protocol: 60, payload: [...extension(6), ...tcp({ data: big })] }),
      fields: { ...gso4, gsoType: 4, gsoSize: 1400, csumStart: 48 },
      hdrLen: 68,
    },
    { name: "USO", packet: udp4, fields: gsoUdp, hdrLen: 28 },
    { name: "a super-packet of one segment", packet: udpDatagram, fields: gsoUdp, hdrLen: 28 },
    {
      name: "an open checksum inside a tunnelled packet",
      packet: udp4,
      fields: { flags: 1, csumStart: 78, csumOffset: 16 },
      hdrLen: 28,
      mtu: 9_000,
    },
    {
      name: "an open checksum of an unknown protocol",
      packet: ipv4({ protocol: 47, payload: big }),
      fields: { flags: 1, csumStart: 20, csumOffset: 4 },
      hdrLen: 20,
      mtu: 9_000,
    },
  ];
  for (const { name, packet, fields, hdrLen, mtu } of good) {
    test(name, () => {
      const { fault, header } = check(packet, fields, mtu);
      assert.equal(fault, undefined);
      assert.equal(header.hdrLen, hdrLen);
    });
  }

  test("DATA_VALID is not a peer's to say", () => assert.equal(check(udpDatagram, { flags: 2 }).header.flags, 0));

  const bad: { name: string; packet: Uint8Array; fields: Fields; fault: string; mtu?: number }[] = [
    { name: "RSC_INFO", packet: udpDatagram, fields: { flags: 4 }, fault: "unknown flag" },
    { name: "UFO", packet: udp4, fields: { ...gsoUdp, gsoType: 3 }, fault: "unknown gso type" },
    { name: "USO with ECN", packet: udp4, fields: { ...gsoUdp, gsoType: 0x85 }, fault: "unknown gso type" },
    { name: "ECN alone", packet: tcp4, fields: { ...gso4, gsoType: 0x80 }, fault: "unknown gso type" },
    { name: "TCPV6 on IPv4", packet: tcp4, fields: { ...gso4, gsoType: 4 }, fault: "gso type against the packet" },
    { name: "TCPV4 on UDP", packet: udp4, fields: { ...gsoUdp, gsoType: 1 }, fault: "gso type against the packet" },
    { name: "USO on TCP", packet: tcp4, fields: { ...gso4, gsoType: 5 }, fault: "gso type against the packet" },
    {
      name: "a fragment",
      packet: ipv4({ flagsAndOffset: 0x2000, payload: udp(1, 2, [1]) }),
      fields: { gsoType: 5, gsoSize: 1000 },
      fault: "gso type against the packet",
    },
    {
      name: "an open checksum in a fragment",
      packet: ipv4({ flagsAndOffset: 0x2000, payload: udp(1, 2, [1]) }),
      fields: { flags: 1, csumStart: 20, csumOffset: 6 },
      fault: "checksum place",
    },
    { name: "no open checksum", packet: tcp4, fields: { ...gso4, flags: 0 }, fault: "gso without checksum" },
    {
      name: "an open checksum elsewhere",
      packet: tcp4,
      fields: { ...gso4, csumStart: 100 },
      fault: "gso without checksum",
    },
    {
      name: "a checksum behind the headers of a super-packet",
      packet: tcp4,
      fields: { ...gso4, csumOffset: 100 },
      fault: "checksum place",
    },
    {
      name: "the other protocol's checksum",
      packet: udp4,
      fields: { ...gsoUdp, csumOffset: 16 },
      fault: "checksum place",
    },
    { name: "size 0", packet: tcp4, fields: { ...gso4, gsoSize: 0 }, fault: "gso size" },
    { name: "size 47", packet: tcp4, fields: { ...gso4, gsoSize: 47 }, fault: "gso size" },
    { name: "segments over the MTU", packet: tcp4, fields: { ...gso4, gsoSize: 1449 }, fault: "larger than the MTU" },
    { name: "no super-packet, over the MTU", packet: tcp4, fields: {}, fault: "larger than the MTU" },
    { name: "65 datagrams", packet: udp4, fields: { ...gsoUdp, gsoSize: 61 }, fault: "too many datagrams" },
    {
      name: "a checksum into the destination address",
      packet: tcp4,
      fields: { flags: 1, csumStart: 0, csumOffset: 16 },
      fault: "checksum place",
      mtu: 9_000,
    },
    {
      name: "a checksum into the port",
      packet: tcp4,
      fields: { flags: 1, csumStart: 20, csumOffset: 2 },
      fault: "checksum place",
      mtu: 9_000,
    },
    {
      name: "a checksum into the TCP flags",
      packet: tcp4,
      fields: { flags: 1, csumStart: 20, csumOffset: 12 },
      fault: "checksum place",
      mtu: 9_000,
    },
    {
      name: "UDP's place on TCP",
      packet: tcp4,
      fields: { flags: 1, csumStart: 20, csumOffset: 6 },
      fault: "checksum place",
      mtu: 9_000,
    },
    {
      name: "a checksum into the ICMP type",
      packet: ipv4({ protocol: 1, payload: icmp(8, 0, 1) }),
      fields: { flags: 1, csumStart: 20, csumOffset: 0 },
      fault: "checksum place",
    },
    {
      name: "a checksum half behind the packet",
      packet: udpDatagram,
      fields: { flags: 1, csumStart: 20, csumOffset: 9 },
      fault: "checksum place",
    },
    {
      name: "a checksum behind the packet",
      packet: udpDatagram,
      fields: { flags: 1, csumStart: 65_535, csumOffset: 65_535 },
      fault: "checksum place",
    },
  ];
  for (const { name, packet, fields, fault, mtu } of bad)
    test(`refused: ${name}`, () => assert.equal(check(packet, fields, mtu).fault, fault));
});
