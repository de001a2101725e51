/** What is wrong with a piece of text, before it is known where it stands. */
export class Complaint {
  readonly message: string;
  /** What to write instead, as a whole sentence. */
  readonly hint: string | undefined;

  constructor(message: string, hint?: string) {
    this.message = message;
    this.hint = hint;
  }
}
