/** The options of `zgate agent`, with their defaults. */
import { durationMs } from "../units.ts";
import { commonOptions } from "./common-options.ts";
import { DEFAULT_LANES, DEFAULT_RELAY_PORT, MAX_LANES } from "./constants.ts";
import { defaulted, optional, required } from "./option.ts";
import type { ConfigOf } from "./option.ts";
import {
  count,
  dnsName,
  duration,
  interfaceName,
  list,
  loopbackAddress,
  onOff,
  remoteAddress,
  remoteAddressOrOnOff,
  route,
} from "./values.ts";

export const agentOptions = {
  relay: required(remoteAddress(DEFAULT_RELAY_PORT), {
    value: "HOST:PORT",
    description: `the relay to connect to; the port may be left out when it is ${DEFAULT_RELAY_PORT}`,
  }),
  serverName: optional(dnsName, {
    value: "NAME",
    description: "name that the relay's certificate must carry; without it, the host of --relay",
  }),
  ...commonOptions,
  route: optional(list(route), {
    value: "PREFIX",
    description:
      "what goes through the tunnel, repeatable; without it, what the relay advertises; default for everything",
  }),
  tunName: defaulted(interfaceName, "zgate0", { value: "NAME", description: "name of the TUN device" }),
  lanes: defaulted(count(1, MAX_LANES), `${DEFAULT_LANES}`, { value: "COUNT", description: "lanes to ask for" }),
  offload: defaulted(onOff, "on", {
    value: "on|off",
    description: "carry TCP and UDP super-packets whole where kernel and relay can",
  }),
  renew: defaulted(remoteAddressOrOnOff(DEFAULT_RELAY_PORT), "off", {
    value: "on|off|HOST:PORT",
    description:
      "renew the certificate in its files at two thirds of its life: by the relay itself, or by an enrolment service",
  }),
  reconnectMin: defaulted(duration(durationMs(10)), "200ms", {
    value: "DURATION",
    description: "shortest wait before another attempt to connect",
  }),
  reconnectMax: defaulted(duration(durationMs(10)), "3s", {
    value: "DURATION",
    description: "longest wait before another attempt to connect",
  }),
  admin: defaulted(loopbackAddress, "off", {
    value: "ADDRESS:PORT|off",
    description: "loopback address of health, metrics and status, such as 127.0.0.1:9444",
  }),
};

export type AgentConfig = ConfigOf<typeof agentOptions>;
