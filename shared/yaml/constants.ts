/** Limits on YAML text. They hold before anything of the document is looked at. */

/** Collections inside collections, fewer than this. Our deepest document (a policy with a schedule) needs 8. */
export const MAX_YAML_DEPTH = 32;

/**
 * Nodes of a document with every alias counted as what it stands for, so that a few lines of anchors cannot
 * stand for billions of nodes. 100,000 policy rules are about 1.3 million.
 */
export const MAX_YAML_NODES = 4_000_000;

/** Problems that one document reports; the rest would only scroll the first ones away. */
export const MAX_YAML_PROBLEMS = 50;

/** The largest edit distance at which a name still counts as a misspelling of another. */
export const MAX_SUGGESTION_DISTANCE = 3;

/** Names longer than this get no suggestion: the distance costs the product of the lengths. */
export const MAX_SUGGESTION_LENGTH = 64;
