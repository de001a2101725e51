/**
 * The part of a ledger that still counts, for a server that asks often: read whole once, then what was appended since.
 *
 *   the file is longer ▸ its new lines ▸ entries          another file, or a shorter one ▸ from the beginning
 *
 * A long ledger stalls nobody: it is read in pieces, with room for others between them. Expired certificates are forgotten,
 * so memory goes with those that are valid and not with the history.
 */
import { open } from "node:fs/promises";
import { messageOf, ZgateError } from "../errors.ts";
import { LEDGER_PIECE_BYTES } from "./constants.ts";
import { LedgerEntries } from "./ledger.ts";
import type { Ledger } from "./ledger.ts";

/** Certificates that may be remembered beyond their end before they are looked for. */
const FORGET_ABOVE = 1_024;

export class LedgerView {
  readonly #path: string;
  readonly #piece = Buffer.alloc(LEDGER_PIECE_BYTES);
  #entries: LedgerEntries;
  /** Bytes that were read, to the end of a line. */
  #offset = 0;
  #inode: bigint | undefined;
  #forgetAbove = FORGET_ABOVE;
  #reading: Promise<unknown> = Promise.resolve();

  constructor(path: string) {
    this.#path = path;
    this.#entries = new LedgerEntries(path);
  }

  /**
   * The ledger as it stands, without some that have expired by `now`; good until the next call. Throws as `parseLedger`
   * does, and `ZG_FILE_UNREADABLE`.
   */
  async read(now: Date): Promise<Ledger> {
    const turn = this.#reading.then(() => this.#follow(now));
    this.#reading = turn.catch(() => this.#restart());
    return await turn;
  }

  async #follow(now: Date): Promise<Ledger> {
    await using file = await open(this.#path).catch((error: unknown) => {
      throw new ZgateError("ZG_FILE_UNREADABLE", `${this.#path} cannot be read: ${messageOf(error)}`, { cause: error });
    });
    const { ino, size } = await file.stat({ bigint: true });
    if (ino !== this.#inode || size < this.#offset) this.#restart();
    this.#inode = ino;
    while (this.#offset < size) {
      const { bytesRead } = await file.read(this.#piece, 0, LEDGER_PIECE_BYTES, this.#offset);
      const end = this.#piece.subarray(0, bytesRead).lastIndexOf("\n") + 1;
      if (end === 0 && bytesRead === LEDGER_PIECE_BYTES) {
        throw new ZgateError("ZG_PKI_INVALID", `${this.#path}: a line in it has more than ${LEDGER_PIECE_BYTES} bytes`);
      }
      if (end === 0) break; // The end of the line is being written, or never came.
      this.#entries.add(this.#piece.toString("utf8", 0, end));
      this.#offset += end;
      this.#forgetExpired(now);
    }
    return this.#entries;
  }

  #forgetExpired(now: Date): void {
    if (this.#entries.issued.size <= this.#forgetAbove) return;
    this.#entries.forgetExpired(now);
    this.#forgetAbove = 2 * this.#entries.issued.size + FORGET_ABOVE;
  }

  #restart(): void {
    this.#entries = new LedgerEntries(this.#path);
    this.#offset = 0;
    this.#inode = undefined;
    this.#forgetAbove = FORGET_ABOVE;
  }
}
