/**
 * The part of Structured Fields (RFC 8941, now RFC 9651) that zgate's fields need: an item that is an
 * integer, a token or a boolean. Parameters are read past, as section 3.1.2 asks of those who know none.
 */
import { MAX_STRUCTURED_FIELD } from "./constants.ts";

export type StructuredItem =
  | { readonly kind: "integer"; readonly value: number }
  | { readonly kind: "token"; readonly value: string }
  | { readonly kind: "boolean"; readonly value: boolean };

const INTEGER = /^-?\d{1,15}(?![\d.])/;
const TOKEN = /^[A-Za-z*][!#$%&'*+\-.^_`|~\w:/]*/;
const BOOLEAN = /^\?[01]/;
/** A parameter: a key, and a value of any bare type (strings, decimals, byte sequences, dates, … too). */
const PARAMETER =
  /^; *[a-z*][a-z0-9_\-.*]*(?:=(?:-?\d{1,12}\.\d{1,3}|@?-?\d{1,15}|%?"(?:[ !#-[\]-~]|\\["\\])*"|[A-Za-z*][!#$%&'*+\-.^_`|~\w:/]*|:[A-Za-z0-9+/=]*:|\?[01]))?/;

/** Reads a field's value. `undefined`: it is no such item (several items in one field are none). */
export function parseItem(text: string): StructuredItem | undefined {
  if (text.length > MAX_STRUCTURED_FIELD) return undefined;
  const trimmed = text.replace(/^ +| +$/g, "");
  const [item, size] = parseBareItem(trimmed);
  if (item === undefined) return undefined;
  for (let rest = trimmed.slice(size); rest !== "";) {
    const parameter = PARAMETER.exec(rest)?.[0];
    if (parameter === undefined) return undefined;
    rest = rest.slice(parameter.length);
  }
  return item;
}

/** The text of an item. A token is one by construction here: a literal of ours. */
export function formatItem(item: StructuredItem): string {
  switch (item.kind) {
    case "integer":
    case "token":
      return String(item.value);
    case "boolean":
      return item.value ? "?1" : "?0";
    default:
      return item satisfies never;
  }
}

function parseBareItem(text: string): [StructuredItem | undefined, number] {
  const integer = INTEGER.exec(text)?.[0];
  if (integer !== undefined) return [{ kind: "integer", value: Number(integer) + 0 }, integer.length];
  const token = TOKEN.exec(text)?.[0];
  if (token !== undefined) return [{ kind: "token", value: token }, token.length];
  const boolean = BOOLEAN.exec(text)?.[0];
  if (boolean !== undefined) return [{ kind: "boolean", value: boolean === "?1" }, boolean.length];
  return [undefined, 0];
}
