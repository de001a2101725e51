/**
 * A text file and the places in it: offset → line and column → `file:line:column: what is wrong`.
 */

/** Something wrong at a place of a file. `line` and `column` count from 1, columns in UTF-16 units. */
export interface SourceProblem {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly message: string;
  /** What may have been meant, as a whole sentence. */
  readonly hint?: string;
}

/** `file:line:column: message; hint` */
export function formatProblem(problem: SourceProblem): string {
  const place = `${problem.file}:${problem.line}:${problem.column}`;
  return `${place}: ${problem.message}${problem.hint === undefined ? "" : `; ${problem.hint}`}`;
}

/** A file's text with an index of its lines, built when a place is first asked for. */
export class SourceText {
  readonly file: string;
  readonly text: string;
  #lineStarts: number[] | undefined;

  constructor(file: string, text: string) {
    this.file = file;
    this.text = text;
  }

  /** The place of an offset into `text`; an offset beyond the end is the end. */
  position(offset: number): { line: number; column: number } {
    const starts = (this.#lineStarts ??= lineStartsOf(this.text));
    const bounded = Math.max(0, Math.min(offset, this.text.length));
    let low = 0;
    let high = starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((starts[middle] ?? 0) <= bounded) low = middle;
      else high = middle - 1;
    }
    return { line: low + 1, column: bounded - (starts[low] ?? 0) + 1 };
  }

  problem(offset: number, message: string, hint?: string): SourceProblem {
    const place = { file: this.file, ...this.position(offset), message };
    return hint === undefined ? place : { ...place, hint };
  }
}

/** Lines end as YAML says: LF, CR LF or CR (YAML 1.2.2 section 5.4). */
function lineStartsOf(text: string): number[] {
  const starts = [0];
  for (const match of text.matchAll(/\r\n|\n|\r/g)) starts.push(match.index + match[0].length);
  return starts;
}
