/** Capabilities of the process, through the addon. */
import { loadNative } from "./loader.ts";
import { calling } from "./native-error.ts";

/** Numbers of capabilities (linux/capability.h). */
export const CAPABILITY = {
  DAC_OVERRIDE: 1,
  NET_BIND_SERVICE: 10,
  NET_ADMIN: 12,
} as const;

/**
 * Lets the calling thread keep the capabilities of the mask `kept` (bit n: capability n) at most and forbids it
 * ever to gain one (`no_new_privs`). Other threads have all they had: execute the process anew after this.
 * Throws `ZG_PRIVILEGE`, `ZG_NATIVE_MISSING`.
 */
export function dropPrivileges(kept: number): void {
  calling(() => loadNative().dropPrivileges(kept));
}
