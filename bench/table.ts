/** Figures as a table for people. Pure. */
import type { Figure } from "./figures.ts";
import { METRICS } from "./scenario.ts";

const COLUMNS = ["scenario", "figure", "peer", "ours", "theirs", "unit", "ratio", "bar", ""] as const;
/** Columns of numbers, set flush right. */
const RIGHT: ReadonlySet<number> = new Set([3, 4, 6]);

/** The figures, a line each, under a head; medians, with the range in brackets where there is one. */
export function renderTable(figures: readonly Figure[]): string {
  const rows = figures.map((figure) => [
    figure.scenario,
    METRICS[figure.figure].title,
    figure.peer ?? "",
    measured(figure.ours, figure.oursRange),
    measured(figure.theirs, figure.theirsRange),
    figure.unit,
    figure.ratio === null ? "" : figure.ratio.toFixed(2),
    figure.bar ?? "",
    figure.holds === null ? "" : figure.holds ? "holds" : "MISSED",
  ]);
  const widths = COLUMNS.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)));
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, column) =>
        RIGHT.has(column) ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0),
      )
      .join("  ")
      .trimEnd();
  return [line(COLUMNS), line(widths.map((width) => "─".repeat(width))), ...rows.map(line)].join("\n") + "\n";
}

function measured(median: number | null, range: readonly [number, number] | null): string {
  if (median === null) return "";
  const [low, high] = range ?? [median, median];
  return low === high ? short(median) : `${short(median)} (${short(low)}–${short(high)})`;
}

/** Three significant digits, without an exponent. */
function short(value: number): string {
  if (value >= 100) return value.toFixed(0);
  return value >= 10 ? value.toFixed(1) : value.toFixed(value >= 1 ? 2 : 3);
}
