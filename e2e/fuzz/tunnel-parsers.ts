/** What opens a session and goes over its control stream. */
import assert from "node:assert/strict";
import { decodeFieldSection } from "../../shared/http3/qpack-decoder.ts";
import { decodeAddressAssign, decodeAddressRequest, encodeAddressAssign } from "../../shared/tunnel/address-capsule.ts";
import { CapsuleReader } from "../../shared/tunnel/capsule.ts";
import {
  CAPSULE_ADDRESS_ASSIGN,
  CAPSULE_ADDRESS_REQUEST,
  CAPSULE_ROUTE_ADVERTISEMENT,
  MAX_LANES,
  MAX_TUN_MTU,
} from "../../shared/tunnel/constants.ts";
import { answerFields, negotiate, readAgreement } from "../../shared/tunnel/negotiation.ts";
import { lanePath, parseConnectIpPath, parseLanePath } from "../../shared/tunnel/request-path.ts";
import { decodeRouteAdvertisement, encodeRouteAdvertisement } from "../../shared/tunnel/route-capsule.ts";
import { formatItem, parseItem } from "../../shared/tunnel/structured-field.ts";
import { tunMtu } from "../../shared/units.ts";
import { assertSameOutcome, textOf } from "./parser.ts";
import type { Parser } from "./parser.ts";

const FIELD_SECTION_BYTES = 16 * 1024;
const WISH = { lanes: MAX_LANES, offload: "gso" } as const;
const OFFER = { maxLanes: MAX_LANES, offload: "gso", mtu: tunMtu(MAX_TUN_MTU) } as const;

export const TUNNEL_PARSERS: readonly Parser[] = [
  { name: "capsules", parse: readCapsules },
  { name: "structured-field", parse: readItem, tokens: ["?1", ";a=", ":YQ==:", '"', "\\", "-", "1.5", "@0", '%"'] },
  {
    name: "request-path",
    parse: readPath,
    tokens: ["/.well-known/masque/ip/", "/lane/", "%2F", "*", "::", "192.0.2.1"],
  },
  {
    name: "negotiation",
    parse: readNegotiation,
    tokens: ["zgate-lanes", "zgate-offload", "zgate-version", "zgate-mtu", "gso", "1280", "64", "?1"],
  },
];

function readCapsules(bytes: Uint8Array): void {
  assertSameOutcome(
    () => capsulesOf(bytes, bytes.length),
    () => capsulesOf(bytes, 1),
  );
}

/** What the capsules say, of bytes that come `step` at a time. Lists are written again and read to the same. */
function capsulesOf(bytes: Uint8Array, step: number): unknown {
  const said: unknown[] = [];
  const reader = new CapsuleReader((type, value) => {
    if (type === CAPSULE_ADDRESS_ASSIGN) said.push(sameAgain(value, decodeAddressAssign, encodeAddressAssign));
    else if (type === CAPSULE_ADDRESS_REQUEST) said.push(decodeAddressRequest(value));
    else if (type === CAPSULE_ROUTE_ADVERTISEMENT)
      said.push(sameAgain(value, decodeRouteAdvertisement, encodeRouteAdvertisement));
    else said.push([type, Buffer.from(value).toString("hex")]);
  });
  for (let at = 0; at < bytes.length; at += step) reader.push(bytes, at, Math.min(at + step, bytes.length));
  return { said, atBoundary: reader.atBoundary };
}

function sameAgain<List>(
  value: Uint8Array,
  decode: (value: Uint8Array) => List,
  encode: (list: List) => Uint8Array,
): List {
  const list = decode(value);
  const capsule = encode(list);
  const again: List[] = [];
  new CapsuleReader((_, written) => again.push(decode(written))).push(capsule, 0, capsule.length);
  assert.deepEqual(again, [list]);
  return list;
}

function readItem(bytes: Uint8Array): void {
  const item = parseItem(textOf(bytes));
  if (item !== undefined) assert.deepEqual(parseItem(formatItem(item)), item);
}

function readPath(bytes: Uint8Array): void {
  const text = textOf(bytes);
  const lane = parseLanePath(text);
  if (lane !== undefined) assert.equal(lanePath(lane), text);
  assert.ok(lane === undefined || !parseConnectIpPath(text).ok);
}

/** A field section as the fields of the request, and as those of the answer. What is agreed, an agent accepts. */
function readNegotiation(bytes: Uint8Array): void {
  const fields = decodeFieldSection(bytes, FIELD_SECTION_BYTES);
  if (fields === undefined) return;
  const result = negotiate(fields, OFFER);
  if (result.ok && result.agreement.lanes > 0) {
    assert.deepEqual(readAgreement(answerFields(result.agreement), WISH), result.agreement);
  }
  const agreement = readAgreement(fields, WISH);
  assert.ok(agreement.lanes <= MAX_LANES && agreement.mtu <= MAX_TUN_MTU);
}
