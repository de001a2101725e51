/** "Did you mean …?": the known name that is nearest to a misspelt one. */
import { MAX_SUGGESTION_DISTANCE, MAX_SUGGESTION_LENGTH } from "./constants.ts";

/** `did you mean "default_action"?`, or undefined when no known name is near enough. */
export function didYouMean(name: string, known: Iterable<string>): string | undefined {
  const nearest = nearestName(name, known);
  return nearest === undefined ? undefined : `did you mean ${JSON.stringify(nearest)}?`;
}

/** The nearest of `known`, ignoring case and `-`/`_`; the first of equals. */
export function nearestName(name: string, known: Iterable<string>): string | undefined {
  if (name.length > MAX_SUGGESTION_LENGTH) return undefined;
  const wanted = normalised(name);
  let nearest: string | undefined;
  let best = Math.min(MAX_SUGGESTION_DISTANCE, wanted.length, Math.max(1, Math.floor(wanted.length / 3))) + 1;
  for (const candidate of known) {
    if (candidate.length > MAX_SUGGESTION_LENGTH) continue;
    const distance = editDistance(wanted, normalised(candidate));
    if (distance < best) {
      best = distance;
      nearest = candidate;
    }
  }
  return nearest;
}

function normalised(name: string): string {
  return name.toLowerCase().replaceAll(/[-_ ]/g, "");
}

/**
 * Optimal string alignment distance: insertions, deletions, substitutions and swaps of neighbours, each 1.
 */
export function editDistance(a: string, b: string): number {
  let before: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    for (let column = 1; column <= b.length; column++) {
      const same = a[row - 1] === b[column - 1] ? 0 : 1;
      let cost = Math.min(at(previous, column) + 1, at(current, column - 1) + 1, at(previous, column - 1) + same);
      if (row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1]) {
        cost = Math.min(cost, at(before, column - 2) + 1);
      }
      current.push(cost);
    }
    before = previous;
    previous = current;
  }
  return at(previous, b.length);
}

function at(row: readonly number[], column: number): number {
  return row[column] ?? Number.POSITIVE_INFINITY;
}
