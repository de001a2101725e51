/** What is wrong with a piece of text, before it is known where it stands. */
export class Complaint {
  readonly message: string;
  readonly #hint: string | (() => string) | undefined;

  /** A hint that takes long to find is a function, called only for complaints that are shown. */
  constructor(message: string, hint?: string | (() => string)) {
    this.message = message;
    this.#hint = hint;
  }

  /** What to write instead, as a whole sentence. */
  get hint(): string | undefined {
    return typeof this.#hint === "function" ? this.#hint() : this.#hint;
  }
}

/** A longer text is cut in messages. */
const MAX_QUOTED = 60;

/** The text in quotes, for a message. */
export function quoted(text: string): string {
  return JSON.stringify(text.length <= MAX_QUOTED ? text : `${text.slice(0, MAX_QUOTED)}…`);
}
