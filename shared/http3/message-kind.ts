/** What a request is decides what its streams may carry (RFC 9114 sections 4.1.2 and 4.4). */
import { contentLength } from "./field-rules.ts";
import { fieldValue, type Fields } from "./fields.ts";

/** What the frames of a body may be. */
export interface BodyRules {
  /** Bytes that the DATA frames must sum up to; -1: any. */
  readonly contentLength: number;
  readonly trailers: boolean;
}

/** A CONNECT, plain or extended, that was accepted, or was not answered yet (`status` 0). */
export function isTunnel(request: Fields, status: number): boolean {
  return fieldValue(request, ":method") === "CONNECT" && (status === 0 || (status >= 200 && status < 300));
}

/** The rules of the body that follows `head`, which is the request itself or its response. */
export function bodyRules(request: Fields, status: number, head: Fields): BodyRules {
  if (isTunnel(request, status)) return { contentLength: -1, trailers: false };
  // The length is that of the body which is left out (RFC 9110 sections 9.3.2 and 15.4.5).
  const leftOut = status === 304 || (status !== 0 && fieldValue(request, ":method") === "HEAD");
  return { contentLength: leftOut ? -1 : contentLength(head), trailers: true };
}
