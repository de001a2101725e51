/** Files that appear whole or not at all, with their mode from the first moment. */
import { randomBytes } from "node:crypto";
import { access, link, open, rename, unlink } from "node:fs/promises";
import { dirname } from "node:path";
import { messageOf, ZgateError } from "../errors.ts";

export const PRIVATE_MODE = 0o600;
export const PUBLIC_MODE = 0o644;

export interface NewFile {
  readonly path: string;
  readonly text: string;
  readonly mode: number;
}

/**
 * Writes all files, or none. Throws `ZG_FILE_EXISTS` when one of them is there already (also one that appears
 * meanwhile: `link` refuses it), `ZG_FILE_UNREADABLE` when one cannot be written.
 */
export async function createFiles(files: readonly NewFile[]): Promise<void> {
  const created: string[] = [];
  try {
    for (const file of files) {
      await viaTemporary(file, async (temporary) => {
        await link(temporary, file.path);
        created.push(file.path);
        await unlink(temporary);
      });
    }
  } catch (error) {
    for (const path of created) await unlink(path);
    throw error;
  }
}

/** Puts a file in the place of another, or in a free one, in one step. */
export async function replaceFile(file: NewFile): Promise<void> {
  await viaTemporary(file, async (temporary) => await rename(temporary, file.path));
}

/** For before the work that fills the files, which must not be done in vain. Throws `ZG_FILE_EXISTS`. */
export async function refuseExisting(paths: readonly string[]): Promise<void> {
  for (const path of paths) {
    const missing = await access(path).then(
      () => false,
      (error: unknown) => isErrno(error, "ENOENT"),
    );
    if (!missing) throw alreadyThere(path);
  }
}

async function viaTemporary(file: NewFile, place: (temporary: string) => Promise<void>): Promise<void> {
  const temporary = `${file.path}.${randomBytes(6).toString("hex")}.new`;
  try {
    {
      await using handle = await open(temporary, "wx", file.mode);
      await handle.writeFile(file.text);
      await handle.sync();
    }
    await place(temporary);
    await syncFolder(dirname(file.path));
  } catch (error) {
    await unlink(temporary).catch(() => undefined);
    if (isErrno(error, "EEXIST")) {
      throw alreadyThere(file.path, error);
    }
    throw new ZgateError("ZG_FILE_UNREADABLE", `${file.path} cannot be written: ${messageOf(error)}`, { cause: error });
  }
}

function alreadyThere(path: string, cause?: unknown): ZgateError {
  return new ZgateError("ZG_FILE_EXISTS", `${path} is there already; move it away or choose another place`, { cause });
}

/** The name survives a crash of the machine only when its folder is synced as well (fsync(2)). */
async function syncFolder(path: string): Promise<void> {
  await using folder = await open(path, "r");
  await folder.sync();
}

export function isErrno(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}
