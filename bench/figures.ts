/** From samples to figures: medians, ratios to each peer, and whether the bars hold. Pure. */
import type { Bar } from "./bars.ts";
import { holds } from "./bars.ts";
import { METRICS } from "./scenario.ts";
import type { MetricName, Sample } from "./scenario.ts";
import { summarise } from "./statistics.ts";
import type { Summary } from "./statistics.ts";

/** Ours, by the name that the peers have. */
export const OURS = "zgate";

/** Samples by peer, for one scenario. */
export type SamplesByPeer = ReadonlyMap<string, readonly Sample[]>;

/** One line of the table, and one entry of `latest.json`. Absent values are null: JSON has no undefined. */
export interface Figure {
  readonly figure: MetricName;
  readonly scenario: string;
  readonly peer: string | null;
  /** Medians, in `unit`. */
  readonly ours: number | null;
  readonly theirs: number | null;
  /** Lowest and highest sample. */
  readonly oursRange: readonly [number, number] | null;
  readonly theirsRange: readonly [number, number] | null;
  readonly unit: string;
  /** ours / theirs. */
  readonly ratio: number | null;
  /** What the ratio (or ours, where there is no peer) has to be: ">= 2.5". */
  readonly bar: string | null;
  readonly holds: boolean | null;
}

/** The figures of one scenario: a line for each metric and peer, one more for each further bar on it. */
export function figuresOf(scenario: string, samples: SamplesByPeer, bars: readonly Bar[]): Figure[] {
  const figures: Figure[] = [];
  for (const metric of Object.keys(METRICS) as MetricName[]) {
    const ours = summary(samples.get(OURS), metric);
    const peers = [...samples.keys()].filter((peer) => peer !== OURS);
    const measured = peers.filter((peer) => summary(samples.get(peer), metric) !== undefined);
    const barsHere = bars.filter((bar) => bar.scenario === scenario && bar.metric === metric);
    const alone = barsHere.filter((bar) => bar.peer === undefined);
    if (ours !== undefined && (measured.length === 0 || alone.length > 0)) {
      figures.push(...lines({ scenario, metric, peer: null, ours, theirs: undefined }, alone));
    }
    for (const peer of measured) {
      const theirs = summary(samples.get(peer), metric);
      figures.push(
        ...lines(
          { scenario, metric, peer, ours, theirs },
          barsHere.filter((bar) => bar.peer === peer),
        ),
      );
    }
  }
  return figures;
}

interface Comparison {
  readonly scenario: string;
  readonly metric: MetricName;
  readonly peer: string | null;
  readonly ours: Summary | undefined;
  readonly theirs: Summary | undefined;
}

function lines({ scenario, metric, peer, ours, theirs }: Comparison, bars: readonly Bar[]): Figure[] {
  const ratio = ours === undefined || theirs === undefined || theirs.median === 0 ? null : ours.median / theirs.median;
  const line = {
    figure: metric,
    scenario,
    peer,
    ours: ours?.median ?? null,
    theirs: theirs?.median ?? null,
    oursRange: range(ours),
    theirsRange: range(theirs),
    unit: METRICS[metric].unit,
    ratio,
  };
  if (bars.length === 0) return [{ ...line, bar: null, holds: null }];
  return bars.map((bar) => {
    const judged = bar.peer === undefined ? line.ours : ratio;
    return { ...line, bar: `${bar.relation} ${bar.value}`, holds: judged === null ? null : holds(bar, judged) };
  });
}

function summary(samples: readonly Sample[] | undefined, metric: MetricName): Summary | undefined {
  return summarise((samples ?? []).map((sample) => sample[metric]).filter((value) => value !== undefined));
}

function range(summarised: Summary | undefined): readonly [number, number] | null {
  return summarised === undefined ? null : [summarised.min, summarised.max];
}
