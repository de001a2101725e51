/**
 * The receiving side of a request stream (RFC 9114 section 4.1):
 *
 *   head ──HEADERS──▸ body ──HEADERS (trailers)──▸ tail ──▸ end
 *
 * DATA payload goes straight into the caller's slab. What does not belong is thrown as a fault.
 */
import { READ_END, type QuicStream } from "../native/quic.ts";
import { connectionFault, streamFault } from "./fault.ts";
import { malformation, type SectionKind } from "./field-rules.ts";
import type { Fields } from "./fields.ts";
import { FrameReader, READY, frameName, isDefinedFrame } from "./frame-reader.ts";
import type { BodyRules } from "./message-kind.ts";
import { decodeFieldSection } from "./qpack-decoder.ts";
import { FRAME } from "./spec.ts";

/** `readSection`: the field section is larger than we take; nothing more is read. */
export const SECTION_TOO_LARGE = -4;

type Phase = "head" | "body" | "tail";

export class MessageReader {
  /** Valid after `readSection` returned READY. */
  fields: Fields = [];

  readonly #frames: FrameReader;
  readonly #role: "client" | "server";
  readonly #maxSectionSize: number;
  #phase: Phase = "head";
  #inFrame = false;
  #section: Uint8Array | undefined;
  #sectionHave = 0;
  #rules: BodyRules = { contentLength: -1, trailers: true };
  #bodyBytes = 0;

  constructor(stream: QuicStream, role: "client" | "server", maxSectionSize: number) {
    this.#frames = new FrameReader(stream);
    this.#role = role;
    this.#maxSectionSize = maxSectionSize;
  }

  /**
   * Reads up to the end of the next field section of the head: READY, 0, READ_END, READ_RESET, READ_YIELD or
   * SECTION_TOO_LARGE. A client calls it again after an interim response.
   */
  readSection(kind: SectionKind): number {
    for (;;) {
      const step = this.#nextFrame();
      if (step !== READY) return step;
      if (this.#frames.type === FRAME.HEADERS) return this.#collectSection(kind);
      if (this.#frames.type === FRAME.DATA) throw unexpected(FRAME.DATA, "before HEADERS");
    }
  }

  /** The head is complete: from here on `readBody` reads. */
  beginBody(rules: BodyRules): void {
    this.#phase = "body";
    this.#rules = rules;
  }

  /** Body bytes into `slab[from, to)`: their number, 0, READ_END, READ_RESET or READ_YIELD. */
  readBody(slab: Uint8Array, from: number, to: number): number {
    let at = from;
    while (at < to) {
      if (!this.#inFrame || this.#frames.type !== FRAME.DATA) {
        const step = this.#nextData();
        if (step !== READY) return at > from ? at - from : step;
      }
      if (this.#frames.remaining > 0) {
        const got = this.#frames.readPayload(slab, at, to);
        if (got <= 0) return at > from ? at - from : got;
        at += got;
      }
      if (this.#frames.remaining === 0) this.#inFrame = false;
    }
    return at - from;
  }

  /** Stands at a DATA frame when READY. */
  #nextData(): number {
    for (;;) {
      const step = this.#nextFrame();
      if (step === READ_END) this.#checkBodyEnd();
      if (step !== READY) return step;
      if (this.#frames.type === FRAME.DATA) {
        if (this.#phase === "tail") throw unexpected(FRAME.DATA, "after trailers");
        this.#countBody(this.#frames.remaining);
        return READY;
      }
      const trailers = this.#trailers();
      if (trailers !== READY) return trailers;
    }
  }

  #trailers(): number {
    if (!this.#rules.trailers) throw unexpected(FRAME.HEADERS, "after the HEADERS of a CONNECT");
    if (this.#phase === "tail") throw unexpected(FRAME.HEADERS, "after trailers");
    const step = this.#collectSection("trailer");
    if (step === SECTION_TOO_LARGE) throw streamFault("H3_EXCESSIVE_LOAD", "the trailers are too large");
    if (step === READY) this.#phase = "tail";
    return step;
  }

  /** Stands at a DATA or HEADERS frame when READY; unknown frames are skipped (RFC 9114 section 9). */
  #nextFrame(): number {
    for (;;) {
      if (!this.#inFrame) {
        const step = this.#frames.next();
        if (step !== READY) return step;
        this.#inFrame = true;
        if (isDefinedFrame(this.#frames.type)) this.#checkDefined(this.#frames.type);
      }
      const { type } = this.#frames;
      if (type === FRAME.DATA || type === FRAME.HEADERS) return READY;
      const skipped = this.#frames.skip();
      if (skipped !== READY) return skipped;
      this.#inFrame = false;
    }
  }

  #checkDefined(type: number): void {
    if (type === FRAME.DATA || type === FRAME.HEADERS) return;
    if (type === FRAME.PUSH_PROMISE && this.#role === "client") {
      // RFC 9114 section 7.2.5: its push ID is larger than any that we allowed, for we allowed none.
      throw connectionFault("H3_ID_ERROR", "a PUSH_PROMISE frame, and no push was allowed");
    }
    throw unexpected(type, "on a request stream");
  }

  #collectSection(kind: SectionKind): number {
    if (this.#section === undefined) {
      // Each field line is shorter than the size that section 4.2.2 gives it, unless it is badly Huffman-coded.
      if (this.#frames.remaining > this.#maxSectionSize) return SECTION_TOO_LARGE;
      this.#section = new Uint8Array(this.#frames.remaining);
      this.#sectionHave = 0;
    }
    const section = this.#section;
    while (this.#sectionHave < section.length) {
      const got = this.#frames.readPayload(section, this.#sectionHave, section.length);
      if (got <= 0) return got;
      this.#sectionHave += got;
    }
    this.#section = undefined;
    this.#inFrame = false;
    const fields = decodeFieldSection(section, this.#maxSectionSize);
    if (fields === undefined) return SECTION_TOO_LARGE;
    const wrong = malformation(kind, fields);
    if (wrong !== undefined) throw streamFault("H3_MESSAGE_ERROR", `malformed ${kind}: ${wrong}`);
    this.fields = fields;
    return READY;
  }

  #countBody(bytes: number): void {
    this.#bodyBytes += bytes;
    const { contentLength } = this.#rules;
    if (contentLength >= 0 && this.#bodyBytes > contentLength) throw wrongLength(this.#bodyBytes, contentLength);
  }

  #checkBodyEnd(): void {
    const { contentLength } = this.#rules;
    if (contentLength >= 0 && this.#bodyBytes !== contentLength) throw wrongLength(this.#bodyBytes, contentLength);
  }
}

function unexpected(type: number, where: string): Error {
  return connectionFault("H3_FRAME_UNEXPECTED", `${frameName(type)} ${where}`);
}

function wrongLength(bytes: number, expected: number): Error {
  return streamFault("H3_MESSAGE_ERROR", `the body has ${bytes} bytes, content-length says ${expected}`);
}
