/** The options of `zgate relay`, with their defaults. */
import { durationMs } from "../units.ts";
import {
  DEFAULT_MAX_HANDSHAKES,
  DEFAULT_MAX_LANES,
  DEFAULT_MAX_SESSIONS,
  DEFAULT_RELAY_PORT,
  DEFAULT_RETRY_ABOVE,
  DEFAULT_TUN_MTU,
  MAX_LANES,
  MAX_SESSIONS,
} from "./constants.ts";
import { commonOptions } from "./common-options.ts";
import { defaulted, optional, required } from "./option.ts";
import type { ConfigOf } from "./option.ts";
import {
  bindAddress,
  bindAddressOrOff,
  count,
  countOrAlways,
  duration,
  interfaceName,
  loopbackAddress,
  mtu,
  onOff,
  path,
  prefix4,
  prefix6,
} from "./values.ts";

export const relayOptions = {
  listen: defaulted(bindAddress, `0.0.0.0:${DEFAULT_RELAY_PORT}`, {
    value: "ADDRESS:PORT",
    description: "UDP address that agents connect to; [::]:4433 takes IPv4 as well",
  }),
  ...commonOptions,
  policy: required(path, {
    value: "FILE",
    path: true,
    description: "the access policy; followed while the relay runs",
  }),
  shadowPolicy: optional(path, {
    value: "FILE",
    path: true,
    description: "a second policy that is only compared with the first: differing verdicts are logged",
  }),
  pool4: defaulted(prefix4(8, 29), "10.77.0.0/16", {
    value: "PREFIX",
    description: "IPv4 tunnel addresses; the first is the relay's own",
  }),
  pool6: defaulted(prefix6(32, 124), "fd77:7a67::/64", {
    value: "PREFIX",
    description: "IPv6 tunnel addresses; the first is the relay's own",
  }),
  tunName: defaulted(interfaceName, "zgate0", { value: "NAME", description: "name of the TUN device" }),
  mtu: defaulted(mtu, `${DEFAULT_TUN_MTU}`, {
    value: "BYTES",
    description: "MTU of the TUN devices, the relay's and the agents'",
  }),
  lanes: defaulted(count(1, MAX_LANES), `${DEFAULT_MAX_LANES}`, {
    value: "COUNT",
    description: "most lanes that a session may have",
  }),
  offload: defaulted(onOff, "on", {
    value: "on|off",
    description: "carry TCP and UDP super-packets whole where kernel and agent can",
  }),
  nat: defaulted(onOff, "on", {
    value: "on|off",
    description: "masquerade tunnel addresses behind the relay's own; off needs routes back to the pools",
  }),
  natInterface: optional(interfaceName, {
    value: "NAME",
    description: "masquerade only what leaves by this interface; without it, by any",
  }),
  admin: defaulted(loopbackAddress, "127.0.0.1:9443", {
    value: "ADDRESS:PORT|off",
    description: "loopback address of health, metrics and administration",
  }),
  auditFile: defaulted(path, "-", {
    value: "FILE",
    path: true,
    description: "where audit records go as JSON lines; - is standard output",
  }),
  enroll: defaulted(bindAddressOrOff, "off", {
    value: "ADDRESS:PORT|off",
    description: "TCP address that serves enrolment and renewal of client certificates; needs --authority",
  }),
  authority: optional(path, {
    value: "FOLDER",
    path: true,
    description: "folder of the certificate authority: clients renew on their own connection; for --enroll too",
  }),
  auditFailClosed: defaulted(onOff, "off", {
    value: "on|off",
    description: "refuse new sessions and flows while audit records cannot be written",
  }),
  stateDir: defaulted(path, "/var/lib/zgate", {
    value: "FOLDER",
    path: true,
    description: "what the relay remembers across restarts: leases, and what to clean up after a crash",
  }),
  drain: defaulted(duration(durationMs(0)), "5s", {
    value: "DURATION",
    description: "how long sessions may finish after SIGTERM before they are closed",
  }),
  retry: defaulted(countOrAlways(MAX_SESSIONS), `${DEFAULT_RETRY_ABOVE}`, {
    value: "COUNT|always",
    description: "demand address validation (QUIC Retry) above this many handshakes in progress",
  }),
  maxHandshakes: defaulted(count(1, MAX_SESSIONS), `${DEFAULT_MAX_HANDSHAKES}`, {
    value: "COUNT",
    description: "refuse new connections beyond this many handshakes in progress",
  }),
  maxSessions: defaulted(count(1, MAX_SESSIONS), `${DEFAULT_MAX_SESSIONS}`, {
    value: "COUNT",
    description: "most sessions at once",
  }),
  idleTimeout: defaulted(duration(durationMs(1000)), "30s", {
    value: "DURATION",
    description: "end a session whose agent has been silent this long",
  }),
};

export type RelayConfig = ConfigOf<typeof relayOptions>;
