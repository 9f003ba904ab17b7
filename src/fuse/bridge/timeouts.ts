import type { MountFacts } from '../../kernel/sys/rumpsys.js';
import type { Timeouts } from '../protocol/encode.js';

/** On a volume that only this mount writes, every change passes through the host: it may remember for long. Seconds. */
const KEEP_SECONDS = 600;

/**
 * How long the host may keep what it is told. The host compares names byte by byte. Where the volume does not, a name
 * that it takes for missing may come to be found by making another one, so it is told of none that is missing; and a
 * name that it remembers may go by another spelling: then it remembers names only if it can be told to look them all up
 * again (`epochs`).
 */
export function timeoutsOf(traits: MountFacts, wanted: Partial<Timeouts>, epochs: boolean): Timeouts {
  const usual = traits.shared ? 0 : KEEP_SECONDS;
  const { entry = usual, attr = usual, negative = usual } = traits.timeouts ?? {};
  const names = !traits.folds || epochs;
  return {
    entry: names ? (wanted.entry ?? entry) : 0,
    attr: wanted.attr ?? attr,
    negative: traits.folds || traits.aliases ? 0 : (wanted.negative ?? negative),
    owner: wanted.owner,
  };
}
