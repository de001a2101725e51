/** Numbers in memory that threads share, from lists that have grown to their end. */

export function sharedBytes(numbers: readonly number[]): Uint8Array<SharedArrayBuffer> {
  const column = new Uint8Array(new SharedArrayBuffer(numbers.length));
  column.set(numbers);
  return column;
}

export function sharedNumbers(numbers: readonly number[]): Uint32Array<SharedArrayBuffer> {
  const column = new Uint32Array(new SharedArrayBuffer(4 * numbers.length));
  column.set(numbers);
  return column;
}

export function sharedIntegers(numbers: readonly number[]): Int32Array<SharedArrayBuffer> {
  const column = new Int32Array(new SharedArrayBuffer(4 * numbers.length));
  column.set(numbers);
  return column;
}

export function sharedDoubles(numbers: readonly number[]): Float64Array<SharedArrayBuffer> {
  const column = new Float64Array(new SharedArrayBuffer(8 * numbers.length));
  column.set(numbers);
  return column;
}
