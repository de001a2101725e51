/**
 * Notices that files changed, however it was done: written in place, renamed over by an editor, or reached
 * through a symbolic link that was swapped (Kubernetes' `..data`).
 *
 *   directory events (inotify) ─▶ settle ─▶ compare signatures ─▶ onChange
 *   slow poll ───────────────────────────▶ compare signatures ─▶ onChange
 *
 * Directories are watched, not files, because a rename replaces the file that a watch would hold on to. The
 * poll is the safety net for file systems without events.
 */
import { type FSWatcher, realpathSync, statSync, watch } from "node:fs";
import { dirname, resolve } from "node:path";

/** Events of one save come together; a reader should see the last. Milliseconds. */
const SETTLE_MS = 5;
/** How often signatures are compared without any event. Milliseconds. */
const POLL_MS = 2_000;

export class FileWatch {
  readonly #onChange: () => void;
  readonly #watchers = new Map<string, FSWatcher>();
  /** What each file was when it was last looked at. */
  #signatures = new Map<string, string>();
  #settling: NodeJS.Timeout | undefined;
  readonly #poll: NodeJS.Timeout;

  /** `files`: as for `follow`. */
  constructor(files: readonly string[] | ReadonlyMap<string, string>, onChange: () => void) {
    this.#onChange = onChange;
    this.follow(files);
    this.#poll = setInterval(() => this.#compare(), POLL_MS);
    this.#poll.unref();
  }

  /**
   * Watches these files from now on. A file that does not exist yet is noticed when it appears; one that was
   * followed already keeps its last signature, so that no change since is missed. A map has the signatures of the
   * files (`signatureOf`) from before the caller read them, so that no change since then is missed either.
   */
  follow(files: readonly string[] | ReadonlyMap<string, string>): void {
    const before = this.#signatures;
    const now = new Map<string, string>();
    for (const [key, value] of files.entries()) {
      const path = resolve(typeof key === "string" ? key : value);
      now.set(path, before.get(path) ?? (typeof key === "string" ? value : signatureOf(path)));
    }
    this.#signatures = now;
    this.#watchDirectories();
    this.#settle();
  }

  close(): void {
    clearInterval(this.#poll);
    clearTimeout(this.#settling);
    for (const watcher of this.#watchers.values()) watcher.close();
    this.#watchers.clear();
  }

  #watchDirectories(): void {
    const wanted = new Set([...this.#signatures.keys()].flatMap(directoriesOf));
    for (const [directory, watcher] of this.#watchers) {
      if (wanted.has(directory)) continue;
      watcher.close();
      this.#watchers.delete(directory);
    }
    for (const directory of wanted) {
      if (this.#watchers.has(directory)) continue;
      try {
        const watcher = watch(directory, { persistent: false }, () => this.#settle());
        watcher.on("error", () => this.#forget(directory));
        this.#watchers.set(directory, watcher);
      } catch {
        // The directory is gone or out of reach: the poll notices when that changes.
      }
    }
  }

  #forget(directory: string): void {
    this.#watchers.get(directory)?.close();
    this.#watchers.delete(directory);
  }

  #settle(): void {
    this.#settling ??= setTimeout(() => {
      this.#settling = undefined;
      this.#compare();
    }, SETTLE_MS);
  }

  #compare(): void {
    let changed = false;
    for (const [file, before] of this.#signatures) {
      const now = signatureOf(file);
      if (now === before) continue;
      this.#signatures.set(file, now);
      changed = true;
    }
    if (!changed) return;
    this.#watchDirectories();
    this.#onChange();
  }
}

/** The directory that holds the name, and the one that holds what the name leads to. */
function directoriesOf(file: string): string[] {
  try {
    return [dirname(file), dirname(realpathSync(file))];
  } catch {
    return [dirname(file)];
  }
}

/** Another text for each change of the file. */
export function signatureOf(file: string): string {
  try {
    const stat = statSync(file, { bigint: true, throwIfNoEntry: false });
    return stat === undefined ? "absent" : `${stat.dev}:${stat.ino}:${stat.size}:${stat.mtimeNs}:${stat.ctimeNs}`;
  } catch {
    return "out of reach";
  }
}
