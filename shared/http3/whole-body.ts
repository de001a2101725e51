/** A small body as a whole: pieces until the peer's end → bytes. For requests that are no tunnels. */
import { READ_END } from "../native/quic.ts";
import { ZgateError } from "../errors.ts";

/** What is needed of an `Http3Stream`. `onReadable` is taken over. */
export interface BodySource {
  readBody(slab: Uint8Array, from: number, to: number): number;
  onReadable: (() => void) | undefined;
}

/**
 * Resolves with the body, or with undefined as soon as it has more than `maxBytes`; what comes then is not read.
 * Rejects with `ZG_HTTP3` when the stream is reset.
 */
export function readWholeBody(stream: BodySource, maxBytes: number): Promise<Uint8Array | undefined> {
  const { promise, resolve, reject } = Promise.withResolvers<Uint8Array | undefined>();
  // One byte more tells a body of the limit from a longer one.
  const bytes = new Uint8Array(maxBytes + 1);
  let length = 0;
  const read = (): void => {
    while (length <= maxBytes) {
      const got = stream.readBody(bytes, length, bytes.length);
      if (got === 0) return;
      if (got < 0) {
        if (got === READ_END) resolve(bytes.subarray(0, length));
        else reject(new ZgateError("ZG_HTTP3", "the stream was reset before its body was whole"));
        return;
      }
      length += got;
    }
    stream.onReadable = undefined;
    resolve(undefined);
  };
  stream.onReadable = read;
  read();
  return promise;
}
