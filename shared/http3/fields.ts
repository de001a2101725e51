/** Header and trailer fields, pseudo-headers included, in the order of the wire. */

/** Name in lower case and value; each character is one byte (RFC 9110 section 5.5: opaque octets). */
export type Field = readonly [name: string, value: string];

export type Fields = readonly Field[];

/** The value of the first field of that name (lower case). */
export function fieldValue(fields: Fields, name: string): string | undefined {
  for (const [fieldName, value] of fields) if (fieldName === name) return value;
  return undefined;
}

/** The size of a field section in bytes, as SETTINGS_MAX_FIELD_SECTION_SIZE counts it (RFC 9114 section 4.2.2). */
export function fieldSectionSize(fields: Fields): number {
  let size = 0;
  for (const [name, value] of fields) size += fieldSize(name, value);
  return size;
}

/** The share of one field in that size, in bytes. */
export function fieldSize(name: string, value: string): number {
  return name.length + value.length + FIELD_OVERHEAD;
}

/** RFC 9114 section 4.2.2. */
const FIELD_OVERHEAD = 32;
