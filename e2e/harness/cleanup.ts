/**
 * What a run must take back, whatever ends it: a list of synchronous undo steps, run newest first on a
 * normal exit, an uncaught error, SIGINT, SIGTERM and SIGHUP. A run that was killed with SIGKILL leaves its
 * namespaces behind; the next run sweeps them (`namespace.ts`).
 */

type Undo = () => void;

const pending = new Set<Undo>();
let installed = false;

/** Runs `undo` when the process ends, unless the returned function is called first (it does not run it). */
export function onProcessEnd(undo: Undo): () => void {
  if (!installed) {
    installed = true;
    process.once("exit", undoAll);
    for (const [signal, number] of [
      ["SIGHUP", 1],
      ["SIGINT", 2],
      ["SIGTERM", 15],
    ] as const) {
      process.once(signal, () => process.exit(128 + number));
    }
  }
  pending.add(undo);
  return () => void pending.delete(undo);
}

function undoAll(): void {
  for (const undo of [...pending].toReversed()) {
    try {
      undo();
    } catch (thrown) {
      process.stderr.write(`clean-up: ${String(thrown)}\n`);
    }
  }
  pending.clear();
}
