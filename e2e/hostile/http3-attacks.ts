/**
 * Broken HTTP/3 and QPACK on a real connection. Every rule one by one is in shared/http3/hostile.test.ts; here
 * is one of each kind, to see that the relay as a whole bears it.
 */
import { encodeFieldSection } from "../../shared/http3/qpack-encoder.ts";
import { HTTP3_CODE } from "../../shared/http3/spec.ts";
import type { Attack } from "./attack.ts";
import { writeAll } from "./raw-stream.ts";

/** Stream type 0, then empty SETTINGS. */
const CONTROL = "00 0400";
/** Bytes of a field section that is far beyond the 16 KiB that are taken. */
const BOMB_BYTES = 1_000_000;

/** A raw exchange, and the code that has to answer it. */
function raw(name: string, closes: number, uni: readonly string[], bidi: readonly string[] = []): Attack {
  return { name, run: (peer) => peer.raw(uni, bidi), closes };
}

export const HTTP3_ATTACKS: readonly Attack[] = [
  raw("a control stream without SETTINGS", HTTP3_CODE.H3_MISSING_SETTINGS, ["00 07 01 00"]),
  raw("SETTINGS twice", HTTP3_CODE.H3_FRAME_UNEXPECTED, [`${CONTROL} 0400`]),
  raw("SETTINGS that are cut off", HTTP3_CODE.H3_FRAME_ERROR, ["00 04 01 06"]),
  raw("settings of HTTP/2", HTTP3_CODE.H3_SETTINGS_ERROR, ["00 04 02 0200"]),
  raw("SETTINGS of a gigabyte", HTTP3_CODE.H3_EXCESSIVE_LOAD, ["00 04 c000000040000000"]),
  raw("a second control stream", HTTP3_CODE.H3_STREAM_CREATION_ERROR, [CONTROL, CONTROL]),
  raw("a control stream that ends", HTTP3_CODE.H3_CLOSED_CRITICAL_STREAM, [`${CONTROL} FIN`]),
  raw("DATA on the control stream", HTTP3_CODE.H3_FRAME_UNEXPECTED, [`${CONTROL} 00 01 00`]),
  raw("a push stream of a client", HTTP3_CODE.H3_STREAM_CREATION_ERROR, [CONTROL, "01 00"]),
  raw("an insertion into a table of no size", HTTP3_CODE.QPACK_ENCODER_STREAM_ERROR, [CONTROL, "02 c00161"]),
  raw("an acknowledgment of nothing", HTTP3_CODE.QPACK_DECODER_STREAM_ERROR, [CONTROL, "03 80"]),
  raw("QPACK garbage", HTTP3_CODE.QPACK_DECOMPRESSION_FAILED, [CONTROL], ["01 08 0000 ffffffffffff"]),
  raw("a reference to the dynamic table", HTTP3_CODE.QPACK_DECOMPRESSION_FAILED, [CONTROL], ["01 03 020080"]),
  raw("DATA before HEADERS", HTTP3_CODE.H3_FRAME_UNEXPECTED, [CONTROL], ["00 01 00"]),
  raw("a frame of HTTP/2 on a request stream", HTTP3_CODE.H3_FRAME_UNEXPECTED, [CONTROL], ["06 00"]),
  raw("a frame that ends with its stream", HTTP3_CODE.H3_FRAME_ERROR, [CONTROL], ["01 20 0000 FIN"]),
  {
    name: "a peer that says nothing",
    run: async (peer) => void (await peer.connect()),
    closes: HTTP3_CODE.H3_MISSING_SETTINGS,
  },
  {
    name: "a header bomb",
    run: async (peer) => {
      const connection = await peer.connect();
      await writeAll(await connection.openUni(), Uint8Array.of(0, 4, 0));
      const section = encodeFieldSection([["x", "a".repeat(BOMB_BYTES)]]);
      const header = Uint8Array.of(1, 0x80, section.length >>> 16, section.length >>> 8, section.length);
      for (let bombs = 0; bombs < 100; bombs++) {
        const stream = await connection.openBidi();
        await writeAll(stream, Buffer.concat([header, section]), true);
      }
    },
    // Each is answered with 431, and the connection goes on.
  },
];
