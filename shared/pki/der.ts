/** DER (X.690): values written for the few structures that no library of ours writes well, and a reader that walks. */

export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  objectId: 0x06,
  enumerated: 0x0a,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  /** `[0]`, constructed. */
  context0: 0xa0,
  /** `[3]`, constructed. */
  context3: 0xa3,
  /** `[0]`, primitive. */
  implicit0: 0x80,
} as const;

export function derSequence(...parts: readonly Uint8Array[]): Buffer<ArrayBuffer> {
  return der(TAG.sequence, Buffer.concat(parts));
}

/** `content`: the encoded arcs in hexadecimal. */
export function derObjectId(content: string): Buffer<ArrayBuffer> {
  return der(TAG.objectId, Buffer.from(content, "hex"));
}

/** A non-negative INTEGER in as few bytes as it needs (section 8.3). `digits`: hexadecimal. */
export function derInteger(digits: string): Buffer<ArrayBuffer> {
  const even = digits.padStart(digits.length + (digits.length % 2), "0");
  return der(TAG.integer, Buffer.from(/^[89a-f]/i.test(even) ? `00${even}` : even, "hex"));
}

/** UTCTime up to 2049, GeneralizedTime after it, whole seconds (RFC 5280 section 4.1.2.5). */
export function derTime(time: Date): Buffer<ArrayBuffer> {
  const digits = `${time.toISOString().slice(0, 19).replaceAll(/[-:T]/g, "")}Z`;
  const utc = time.getUTCFullYear() < 2050;
  return der(utc ? TAG.utcTime : TAG.generalizedTime, Buffer.from(utc ? digits.slice(2) : digits, "latin1"));
}

/** Milliseconds since 1970 of the content of a time; NaN when it is none. Two digits of a year mean 1950 to 2049. */
export function timeOf(tag: number, content: Uint8Array): number {
  const text = Buffer.from(content).toString("latin1");
  const century = tag === TAG.generalizedTime ? "" : text.slice(0, 2) < "50" ? "20" : "19";
  const match = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/.exec(century + text);
  if (match === null) return Number.NaN;
  const [, year, month, day, hour, minute, second] = match;
  return Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
}

/** One value: its length in the short form, or in the long form of up to four bytes (section 8.1.3). */
export function der(tag: number, content: Uint8Array): Buffer<ArrayBuffer> {
  const { length } = content;
  const header = [tag];
  if (length < 0x80) header.push(length);
  else {
    const bytes = [length >>> 24, (length >>> 16) & 0xff, (length >>> 8) & 0xff, length & 0xff];
    const needed = bytes.slice(bytes.findIndex((byte) => byte !== 0));
    header.push(0x80 | needed.length, ...needed);
  }
  return Buffer.concat([Uint8Array.from(header), content]);
}

/** Walks the values of `bytes[at, end)`. Every method throws a `RangeError` where the bytes are not DER. */
export class DerReader {
  readonly #bytes: Uint8Array;
  readonly #end: number;
  #at: number;

  constructor(bytes: Uint8Array, at = 0, end = bytes.length) {
    this.#bytes = bytes;
    this.#at = at;
    this.#end = end;
  }

  get atEnd(): boolean {
    return this.#at >= this.#end;
  }

  /** The tag of the next value; -1 at the end. */
  get nextTag(): number {
    return this.atEnd ? -1 : this.#byte(this.#at);
  }

  /** Steps into a value of the tag. */
  enter(tag: number): DerReader {
    const { content, end } = this.#take(tag);
    return new DerReader(this.#bytes, content, end);
  }

  /** The content of a value of the tag: a view of the bytes that were given. */
  content(tag: number): Uint8Array {
    const { content, end } = this.#take(tag);
    return this.#bytes.subarray(content, end);
  }

  /** A value of the tag with its header: a view. */
  whole(tag: number): Uint8Array {
    const start = this.#at;
    return this.#bytes.subarray(start, this.#take(tag).end);
  }

  /** Steps over the next value, of whichever tag. */
  skip(): void {
    this.#take(this.nextTag);
  }

  #take(tag: number): { content: number; end: number } {
    if (this.nextTag !== tag)
      throw new RangeError(`DER: tag ${tag} is expected at byte ${this.#at}, not ${this.nextTag}`);
    let content = this.#at + 2;
    let length = this.#byte(this.#at + 1);
    if (length >= 0x80) {
      const count = length & 0x7f;
      if (count === 0 || count > 4) throw new RangeError(`DER: a length of ${count} bytes at byte ${this.#at}`);
      length = 0;
      for (; content < this.#at + 2 + count; content++) length = length * 256 + this.#byte(content);
    }
    const end = content + length;
    if (end > this.#end) throw new RangeError(`DER: the value at byte ${this.#at} is cut off`);
    this.#at = end;
    return { content, end };
  }

  #byte(at: number): number {
    const byte = at < this.#end ? this.#bytes[at] : undefined;
    if (byte === undefined) throw new RangeError(`DER: the value at byte ${this.#at} is cut off`);
    return byte;
  }
}

/** What names a certificate or a list for others, straight from the bytes (RFC 5280 sections 4.1 and 5.1). */
export interface CertificateParts {
  /** Hexadecimal, as it is encoded. */
  readonly serial: string;
  /** The names' DER: compared byte by byte, as the TLS stack does. */
  readonly issuer: Uint8Array;
  readonly subject: Uint8Array;
  /** Key identifiers in hexadecimal (RFC 5280 sections 4.2.1.1 and 4.2.1.2); undefined where there are none. */
  readonly authorityKey: string | undefined;
  readonly subjectKey: string | undefined;
}

const AUTHORITY_KEY_IDENTIFIER = "551d23";
const SUBJECT_KEY_IDENTIFIER = "551d0e";

/** Throws a `RangeError` when it is no certificate. */
export function certificateParts(certificate: Uint8Array): CertificateParts {
  const fields = new DerReader(certificate).enter(TAG.sequence).enter(TAG.sequence);
  if (fields.nextTag === TAG.context0) fields.skip();
  const serial = hex(fields.content(TAG.integer));
  fields.skip();
  const issuer = fields.whole(TAG.sequence);
  fields.skip();
  const subject = fields.whole(TAG.sequence);
  while (!fields.atEnd && fields.nextTag !== TAG.context3) fields.skip();
  return { serial, issuer, subject, ...(fields.atEnd ? NO_KEYS : keyIdentifiers(fields.enter(TAG.context3))) };
}

type KeyIdentifiers = Pick<CertificateParts, "authorityKey" | "subjectKey">;
const NO_KEYS: KeyIdentifiers = { authorityKey: undefined, subjectKey: undefined };

function keyIdentifiers(extensions: DerReader): KeyIdentifiers {
  let { authorityKey, subjectKey } = NO_KEYS;
  const list = extensions.enter(TAG.sequence);
  while (!list.atEnd) {
    const extension = list.enter(TAG.sequence);
    const id = hex(extension.content(TAG.objectId));
    if (extension.nextTag === TAG.boolean) extension.skip();
    const value = new DerReader(extension.content(TAG.octetString));
    if (id === SUBJECT_KEY_IDENTIFIER) subjectKey = hex(value.content(TAG.octetString));
    if (id !== AUTHORITY_KEY_IDENTIFIER) continue;
    const parts = value.enter(TAG.sequence);
    if (parts.nextTag === TAG.implicit0) authorityKey = hex(parts.content(TAG.implicit0));
  }
  return { authorityKey, subjectKey };
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
