/**
 * Where audit lines go: `audit-file.ts` is the file that rotates, `audit-stdout.ts` standard output; the tests
 * have a slow one, a full one and a broken one.
 */
export interface AuditSink {
  /**
   * Writes from the beginning of `bytes` and resolves with how many it took, at least 1. Rejects with an
   * `ErrnoException` when it takes none; the caller tries again later. One call at a time; it may read
   * `bytes` until the promise has settled.
   */
  write(bytes: Buffer): Promise<number>;
  /** No more than so many bytes should come in one `write`, except when a single line is longer. */
  readonly batchLimit: number;
  /** The sink wants `rotate` before a line of so many bytes. */
  wantsRotation(bytes: number): boolean;
  /** Begins a new file. `lastSeq` is the last record of the old one. Rejects as `write` does. */
  rotate(lastSeq: number): Promise<void>;
  /** Resolves when what was written has reached the disk. */
  sync(): Promise<void>;
  /** Frees what is open, without waiting for a write in progress. */
  close(): Promise<void>;
}
