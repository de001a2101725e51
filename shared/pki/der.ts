/** DER values (X.690) for the few structures that no library of ours writes. */

const TAG = { integer: 0x02, octetString: 0x04, null: 0x05, objectId: 0x06, sequence: 0x30 } as const;

export function derSequence(...parts: readonly Uint8Array[]): Buffer<ArrayBuffer> {
  return der(TAG.sequence, Buffer.concat(parts));
}

export function derOctets(content: Uint8Array): Buffer<ArrayBuffer> {
  return der(TAG.octetString, content);
}

export function derNull(): Buffer<ArrayBuffer> {
  return der(TAG.null, Buffer.alloc(0));
}

/** `content`: the encoded arcs in hexadecimal. */
export function derObjectId(content: string): Buffer<ArrayBuffer> {
  return der(TAG.objectId, Buffer.from(content, "hex"));
}

/** A non-negative INTEGER in as few bytes as it needs (section 8.3). */
export function derInteger(value: number): Buffer<ArrayBuffer> {
  const even = wholeBytes(value.toString(16));
  return der(TAG.integer, Buffer.from(even >= "80" ? `00${even}` : even, "hex"));
}

/** Hexadecimal digits with a zero before them where they are an odd number. */
export function wholeBytes(digits: string): string {
  return digits.padStart(digits.length + (digits.length % 2), "0");
}

/** The length in the short form, or in the long form of one or two bytes (section 8.1.3). */
function der(tag: number, content: Uint8Array): Buffer<ArrayBuffer> {
  const { length } = content;
  if (length > 0xffff) throw new RangeError(`a DER value of ${length} bytes`);
  const header = length < 0x80 ? [length] : length <= 0xff ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Uint8Array.of(tag, ...header), content]);
}
