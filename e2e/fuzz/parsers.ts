/** Every parser of what a peer or a file says, as a function of bytes that may throw a `ZgateError` and nothing else. */
import { decodeHuffman } from "../../shared/http3/huffman.ts";
import { decodeFieldSection } from "../../shared/http3/qpack-decoder.ts";
import { checkEncoderInstructions } from "../../shared/http3/qpack-instructions.ts";
import { parseSettings } from "../../shared/http3/settings.ts";
import { PacketView } from "../../shared/packet/view.ts";
import { clientIdentity } from "../../shared/pki/identity.ts";
import { pemBlocks, pemBytes } from "../../shared/pki/pem.ts";
import { parsePolicy } from "../../shared/policy/parse.ts";
import { decodeAddressAssign, decodeAddressRequest } from "../../shared/tunnel/address-capsule.ts";
import { CapsuleReader } from "../../shared/tunnel/capsule.ts";
import {
  CAPSULE_ADDRESS_ASSIGN,
  CAPSULE_ADDRESS_REQUEST,
  CAPSULE_ROUTE_ADVERTISEMENT,
  MAX_FRAME_LENGTH,
} from "../../shared/tunnel/constants.ts";
import { FrameReader } from "../../shared/tunnel/frame.ts";
import { parseConnectIpPath, parseLanePath } from "../../shared/tunnel/request-path.ts";
import { decodeRouteAdvertisement } from "../../shared/tunnel/route-capsule.ts";
import { parseItem } from "../../shared/tunnel/structured-field.ts";

export interface Parser {
  /** Its inputs are in `corpus/NAME.hex`, one a line, what it is behind a `#`. */
  readonly name: string;
  readonly parse: (bytes: Uint8Array) => void;
}

/** More than any field section that is read may have, in the bytes of RFC 9114 section 4.2.2. */
const FIELD_SECTION_BYTES = 16 * 1024;
const view = new PacketView();

export const PARSERS: readonly Parser[] = [
  { name: "packet", parse: (bytes) => void view.parse(bytes, 0, bytes.length) },
  { name: "frames", parse: readFrames },
  { name: "capsules", parse: readCapsules },
  { name: "structured-field", parse: (bytes) => void parseItem(textOf(bytes)) },
  {
    name: "request-path",
    parse: (bytes) => {
      parseConnectIpPath(textOf(bytes));
      parseLanePath(textOf(bytes));
    },
  },
  { name: "field-section", parse: (bytes) => void decodeFieldSection(bytes, FIELD_SECTION_BYTES) },
  { name: "huffman", parse: (bytes) => void decodeHuffman(bytes, 0, bytes.length) },
  { name: "encoder-instructions", parse: (bytes) => checkEncoderInstructions(bytes, 0, bytes.length) },
  { name: "settings", parse: (bytes) => void parseSettings(bytes) },
  { name: "policy", parse: (bytes) => void parsePolicy(textOf(bytes)) },
  {
    name: "pem",
    parse: (bytes) => {
      for (const block of pemBlocks("fuzz.pem", textOf(bytes), "CERTIFICATE")) clientIdentity(pemBytes(block));
    },
  },
  { name: "identity", parse: (bytes) => void clientIdentity(bytes) },
];

/** A lane's bytes in two pieces, as a stream may bring them. */
function readFrames(bytes: Uint8Array): void {
  const reader = new FrameReader(MAX_FRAME_LENGTH);
  const middle = bytes.length >>> 1;
  const slab = new Uint8Array(bytes.length);
  for (const [from, to] of [
    [0, middle],
    [middle, bytes.length],
  ] as const) {
    const at = reader.load(slab, 0);
    slab.set(bytes.subarray(from, to), at);
    reader.scan(at + to - from);
    while (reader.next()) view.parse(slab, reader.from, reader.to);
    reader.keep();
  }
}

function readCapsules(bytes: Uint8Array): void {
  const reader = new CapsuleReader((type, value) => {
    if (type === CAPSULE_ADDRESS_ASSIGN) decodeAddressAssign(value);
    else if (type === CAPSULE_ADDRESS_REQUEST) decodeAddressRequest(value);
    else if (type === CAPSULE_ROUTE_ADVERTISEMENT) decodeRouteAdvertisement(value);
  });
  reader.push(bytes, 0, bytes.length);
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("utf8");
}
