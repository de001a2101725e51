/**
 * What a TLS alert means to the people who run agent and relay, in the same words on both sides.
 *
 *   end of a connection ▸ its alert, who sent it ▸ cause (a counter's label) and sentence (log, status, audit)
 *
 * QUIC carries alert A as error 0x100 + A (RFC 9001 section 4.8).
 */
import type { CloseInfo, KeyExchange } from "./quic.ts";
import { ALERTS, HANDSHAKE_FAILURE, INSUFFICIENT_SECURITY } from "./tls-alerts.ts";
import type { TlsCause, TlsSide } from "./tls-alerts.ts";

/** The side that asks, and what it was set to. */
export interface TlsParty {
  readonly side: TlsSide;
  readonly keyExchange: KeyExchange;
}

export interface TlsRefusal {
  readonly cause: TlsCause;
  /** Who sent the alert. */
  readonly by: TlsSide;
  /** What is wrong and what to do, then the alert with its sender's own words in parentheses. */
  readonly sentence: string;
}

const ALERT_0 = 0x100;
const LAST_ALERT = 0x1ff;

/** The key-exchange group of `require-pq`, and the first of `prefer-pq` (`native/src/tls/material.rs`). */
const PQ = "post-quantum key exchange (X25519MLKEM768)";
/** What rustls says when no group of the ClientHello is one of its own; the agent gets it as QUIC's reason phrase. */
const NO_COMMON_GROUP = /\bNoKxGroupsInCommon\b/;

/** The meaning of a connection's end, when a TLS alert ended it; undefined when something else did. */
export function tlsRefusal(end: CloseInfo, party: TlsParty): TlsRefusal | undefined {
  const { source, code, reason } = end;
  if (code < ALERT_0 || code > LAST_ALERT || (source !== "transport" && source !== "peer-transport")) return undefined;
  const number = code - ALERT_0;
  const by = source === "transport" ? party.side : otherSide(party.side);
  const known = ALERTS.get(number);
  const label = `TLS alert ${number}${known === undefined ? "" : ` ${known.name}`}`;
  const told = reason === "" ? ` (${label})` : ` (${label}: ${reason})`;
  if (known !== undefined && isAboutGroups(number, reason)) {
    return { cause: "no-common-group", by, sentence: groupSentence(party) + told };
  }
  const meaning = known?.says(by, otherSide(by)) ?? `the ${by} ended the TLS handshake`;
  return { cause: known?.cause ?? "other", by, sentence: meaning + told };
}

function isAboutGroups(number: number, reason: string): boolean {
  return (number === HANDSHAKE_FAILURE || number === INSUFFICIENT_SECURITY) && NO_COMMON_GROUP.test(reason);
}

/** A side that would take either group has one in common with every other zgate. */
function groupSentence({ side, keyExchange }: TlsParty): string {
  if (keyExchange === "prefer-pq") {
    return "agent and relay have no key-exchange group in common: X25519MLKEM768, X25519 or secp256r1 is needed";
  }
  const [strict, classical] = keyExchange === "require-pq" ? [side, otherSide(side)] : [otherSide(side), side];
  return (
    `the ${strict} requires ${PQ} and the ${classical} is set to classical: ` +
    "set key_exchange of the one or the other to prefer-pq"
  );
}

function otherSide(side: TlsSide): TlsSide {
  return side === "agent" ? "relay" : "agent";
}
