/** `host:port`, the host an IPv4 address, an IPv6 address in brackets, or a DNS name. */
import { isIP, isIPv4, isIPv6, SocketAddress } from "node:net";
import { MAX_DNS_NAME } from "./constants.ts";

export interface HostPort {
  /** An address in its canonical text without brackets, or a DNS name in lower case. */
  readonly host: string;
  /** 0 to 65535; 0 picks a free port when it is bound. */
  readonly port: number;
}

/** The text that `EndpointOptions.bind` and URLs take: an IPv6 address gets its brackets. */
export function formatHostPort(value: HostPort): string {
  return value.host.includes(":") ? `[${value.host}]:${value.port}` : `${value.host}:${value.port}`;
}

/** Undefined when it is not `host:port`; without a port it is `defaultPort`, where that is given. */
export function parseHostPort(text: string, defaultPort?: number): HostPort | undefined {
  const bracketed = /^\[([^\]]*)\](?::(\d{1,5}))?$/.exec(text);
  const plain = /^([^:[\]]*)(?::(\d{1,5}))?$/.exec(text);
  const match = bracketed ?? plain;
  const host = match?.[1];
  if (host === undefined || (bracketed !== null && !isIPv6(host))) return undefined;
  const port = match?.[2] === undefined ? defaultPort : Number(match[2]);
  if (port === undefined || port > 65_535) return undefined;
  if (isIPv6(host)) return { host: new SocketAddress({ address: host, family: "ipv6" }).address, port };
  if (isIPv4(host)) return { host, port };
  return isDnsName(host) ? { host: host.toLowerCase(), port } : undefined;
}

export function isAddress(value: HostPort): boolean {
  return isIP(value.host) !== 0;
}

export function isLoopback(value: HostPort): boolean {
  return isIPv4(value.host) ? value.host.startsWith("127.") : value.host === "::1";
}

/**
 * A host name of letters, digits and hyphens (RFC 1123 section 2.1), underscores allowed as container networks
 * use them. A name whose last label is a number would be a mistyped address.
 */
export function isDnsName(text: string): boolean {
  const labels = text.split(".");
  return (
    text.length <= MAX_DNS_NAME &&
    labels.every((label) => /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/i.test(label)) &&
    !/^\d+$/.test(labels.at(-1) ?? "")
  );
}
