/** Loads the Rust addon, once. */
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { messageOf, ZgateError } from "../errors.ts";
import type { NativeAddon } from "./binding.ts";

/** Where `npm run build:native` leaves the addon. */
const BUILT = fileURLToPath(new URL("../../native/target/release/libzgate_native.so", import.meta.url));

let loaded: NativeAddon | undefined;

/** The addon at `$ZGATE_NATIVE`, or the one that was built here. Throws `ZG_NATIVE_MISSING`. */
export function loadNative(): NativeAddon {
  loaded ??= load(process.env["ZGATE_NATIVE"] ?? BUILT);
  return loaded;
}

function load(path: string): NativeAddon {
  if (!existsSync(path)) {
    throw new ZgateError(
      "ZG_NATIVE_MISSING",
      `${path}: the native addon is not there; build it with: npm run build:native`,
    );
  }
  const module: { exports: object } = { exports: {} };
  try {
    process.dlopen(module, path);
  } catch (cause) {
    throw new ZgateError(
      "ZG_NATIVE_MISSING",
      `${path}: the native addon cannot be loaded (${messageOf(cause)}); build it again with: npm run build:native`,
      { cause },
    );
  }
  if (!isAddon(module.exports)) {
    throw new ZgateError("ZG_NATIVE_MISSING", `${path}: not zgate's native addon; build it with: npm run build:native`);
  }
  return module.exports;
}

function isAddon(exports: object): exports is NativeAddon {
  return "NativeEndpoint" in exports && "NativeTun" in exports;
}
