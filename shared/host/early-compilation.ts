/**
 * When V8 compiles the packet path. By default a function is optimised after hundreds (Maglev) or thousands (TurboFan)
 * of calls, which suits programs that begin with a burst of work. An idle tunnel carries a packet now and then, for
 * hours through the interpreter, whose bytecode, handlers and feedback are out of the caches each time: on such a
 * tunnel a packet took a third longer (docs/performance.md). These processes run few functions and live long, so
 * compiling them in the first seconds costs next to nothing.
 */
import { setFlagsFromString } from "node:v8";

/** V8's flags (`node --v8-options`), with their defaults in Node 26. */
export const EARLY_COMPILATION = [
  // Collect feedback from the first call on; by default from the eighth.
  "--no-lazy-feedback-allocation",
  // 400
  "--invocation-count-for-maglev=20",
  "--invocation-count-for-maglev-with-delay=20",
  // 3000
  "--invocation-count-for-turbofan=100",
  // 500: how long feedback must not have changed.
  "--minimum-invocations-after-ic-update=10",
] as const;

/** To be called before the packet path is loaded: what ran already keeps the budget that it has. */
export function compileEarly(): void {
  for (const flag of EARLY_COMPILATION) setFlagsFromString(flag);
}
