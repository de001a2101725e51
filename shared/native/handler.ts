/**
 * Runs a handler of the interface's user. What it throws becomes an uncaught exception of its own and does
 * not keep the next event from its handler.
 */
export function run(handler: () => void): void {
  try {
    handler();
  } catch (thrown) {
    queueMicrotask(() => {
      throw thrown;
    });
  }
}
