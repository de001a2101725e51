/** What the addon throws, as the errors that the interfaces promise. */
import { ERROR_CODES, messageOf, ZgateError } from "../errors.ts";
import type { ErrorCode } from "../errors.ts";

function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(ERROR_CODES, code);
}

/** The code that the addon gave; one that nobody knows is a defect. */
export function errorCode(code: string): ErrorCode {
  return isErrorCode(code) ? code : "ZG_NATIVE_FAILED";
}

/** `ZgateError` for a coded error, `RangeError` for a wrong range, anything else as it is. */
export function translated(thrown: unknown): unknown {
  if (!(thrown instanceof Error) || !("code" in thrown) || typeof thrown.code !== "string") return thrown;
  if (thrown.code === "ERR_OUT_OF_RANGE") return new RangeError(thrown.message, { cause: thrown });
  return isErrorCode(thrown.code) ? new ZgateError(thrown.code, messageOf(thrown), { cause: thrown }) : thrown;
}

/** Calls the addon; for calls that are not made per slab. */
export function calling<T>(call: () => T): T {
  try {
    return call();
  } catch (thrown) {
    throw translated(thrown);
  }
}
