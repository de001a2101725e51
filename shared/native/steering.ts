/**
 * The kernel program that puts a packet for a client into that client's queue of the device (`TunOptions.queues`).
 * Loading it takes CAP_BPF, which a relay does not keep: it is loaded first and inherited.
 *
 *   load ▸ descriptor, named in a variable ▸ execve with fewer privileges ▸ the device is opened with it
 */
import { loadNative } from "./loader.ts";

const VARIABLE = "ZGATE_STEERING_FD";

/** The variable for a process that is executed next; none where the program cannot be loaded. */
export function loadSteering(): Record<string, string> {
  const descriptor = loadNative().loadSteering();
  return descriptor < 0 ? {} : { [VARIABLE]: `${descriptor}` };
}

/** The descriptor in `env` for `TunOptions.steering`; taken out of it, the commands that are run need it not. */
export function takeSteering(env: NodeJS.ProcessEnv): number | undefined {
  const descriptor = env[VARIABLE];
  delete env[VARIABLE];
  return descriptor === undefined || !/^\d{1,7}$/.test(descriptor) ? undefined : Number(descriptor);
}
