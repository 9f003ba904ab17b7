/**
 * npm run fuzz -- --format ffs --seconds 60 --seed 1 [--mutants N] [--first N] [--jobs N] [--fuse N] [--keep DIR]
 * npm run fuzz -- --replay FILE
 *
 * Tries mutants of small images in worker processes and prints what broke a rule (probe.ts), made smaller, with seed
 * and index. Ends after so many seconds or mutants; the status is 1 if any rule was broken.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { Campaign } from '../testing/fuzz/campaign.js';
import type { Finding } from '../testing/fuzz/campaign.js';
import { formatOf } from './formats.js';
import type { FuzzFormat } from '../testing/fuzz/format.js';
import { minimise } from '../testing/fuzz/minimise.js';
import { tryMounted } from '../testing/fuzz/mounted.js';
import type { Recipe } from '../testing/fuzz/mutant.js';
import { describeMutant, fromRecipe, toRecipe } from '../testing/fuzz/mutant.js';
import type { Violation } from '../testing/fuzz/probe.js';
import { keyOf } from '../testing/fuzz/probe.js';
import { LIMITS, tryRecipe } from '../testing/fuzz/workers.js';

const FIGURES_MS = 60_000;
const FINDINGS_MINIMISED = 20;

function show(v: Violation): string {
  return `${v.rule} in ${v.op === '' ? 'an unknown operation' : v.op}${v.where === '' ? '' : ` (${v.where})`}: ` +
    `${v.detail.split('\n').slice(0, 12).join('\n    ')}`;
}

function recipeOf(format: FuzzFormat, seed: number, index: number): Recipe {
  const mutant = format.mutant(seed, index);
  return toRecipe(format.name, format.digest(mutant.base), mutant);
}

/** Makes the mutant smaller, prints it, and keeps it in a file. */
async function report(campaign: Campaign, finding: Finding, keep: string | undefined): Promise<void> {
  const { format, seed } = campaign;
  let recipe = recipeOf(format, seed, finding.index);
  let { key, violation } = finding;
  if (violation.rule === 'crash' || violation.rule === 'hang') {
    // Tried again alone, to learn in which operation it was.
    const again = (await tryRecipe(format.name, recipe, LIMITS))[0];
    if (again !== undefined) {
      key = keyOf(again);
      violation = again;
    }
  }
  const smaller = violation.op.startsWith('fuse') ? undefined : await minimise(recipe, key, LIMITS);
  if (smaller !== undefined) ({ recipe, violation } = smaller);
  console.log(`\n--format ${format.name} --seed ${seed} --first ${finding.index} --mutants 1: ${show(violation)}`);
  if (smaller === undefined && !violation.op.startsWith('fuse')) console.log('  (did not show again alone)');
  console.log(describeMutant(fromRecipe(recipe)));
  if (keep === undefined) return;
  mkdirSync(keep, { recursive: true });
  const file = path.join(keep, `${format.name}-${seed}-${finding.index}-${violation.rule}`);
  writeFileSync(`${file}.json`, `${JSON.stringify({ violation, ...recipe }, null, 1)}\n`);
  console.log(`kept: ${file}.json`);
}

async function replay(file: string): Promise<number> {
  const recipe = JSON.parse(readFileSync(file, 'utf8')) as Recipe;
  const format = await formatOf(recipe.format);
  await format.prepare();
  console.log(describeMutant(fromRecipe(recipe)));
  const violations = await tryRecipe(recipe.format, recipe, LIMITS);
  for (const v of violations) console.log(show(v));
  if (violations.length === 0) console.log('no rule was broken');
  return violations.length === 0 ? 0 : 1;
}

/**
 * Every `every`th mutant is mounted for real, one at a time. `over`: no more are tried in this process's workers, and
 * no more are to be begun than those have tried.
 */
async function mountShare(
  campaign: Campaign,
  save: NonNullable<FuzzFormat['save']>,
  first: number,
  every: number,
  alone: boolean,
  over: () => boolean,
): Promise<void> {
  for (let n = 0; ; n++) {
    const index = first + n * every;
    if (alone) {
      if (!campaign.more(index)) return;
    } else {
      // Not to be ahead of the others.
      while (n * every >= campaign.mutants) {
        if (over()) return;
        await new Promise((resolve) => setTimeout(resolve, 200));
      }
      if (campaign.stopped) return;
    }
    const tried = await tryMounted((file) => save(campaign.format.mutant(campaign.seed, index), file));
    for (const v of tried.violations) campaign.found(index, v);
    campaign.mounted++;
    for (const what of tried.did) campaign.mountedCount(what);
    campaign.serverMemory(tried.server_bytes);
  }
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      format: { type: 'string', default: 'ffs' },
      seconds: { type: 'string' },
      seed: { type: 'string', default: '1' },
      mutants: { type: 'string' },
      first: { type: 'string', default: '0' },
      jobs: { type: 'string', default: '2' },
      fuse: { type: 'string', default: '0' },
      keep: { type: 'string' },
      replay: { type: 'string' },
    },
  });
  if (values.replay !== undefined) return replay(values.replay);
  const format = await formatOf(values.format);
  await format.prepare();
  const seconds =
    values.seconds === undefined ? (values.mutants === undefined ? 60 : Infinity) : Number(values.seconds);
  const limit = values.mutants === undefined ? Infinity : Number(values.mutants);
  const campaign = new Campaign(
    format,
    Number(values.seed),
    Number(values.first),
    limit,
    Date.now() + seconds * 1000,
    LIMITS,
  );
  campaign.onfinding = ({ index, violation }) => console.log(`mutant ${index}: ${show(violation)}`);
  const figures = setInterval(() => console.log(campaign.figures()), FIGURES_MS);
  let over = false;
  const fuse = Number(values.fuse);
  const jobs = Number(values.jobs);
  const share =
    fuse > 0 && format.save !== undefined
      ? mountShare(campaign, format.save, Number(values.first), fuse, jobs === 0, () => over)
      : undefined;
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => campaign.stop());
  await Promise.all(Array.from({ length: jobs }, () => campaign.job()));
  over = true;
  await share;
  clearInterval(figures);
  for (const finding of campaign.findings.slice(0, FINDINGS_MINIMISED)) await report(campaign, finding, values.keep);
  if (campaign.findings.length > FINDINGS_MINIMISED) {
    console.log(`${campaign.findings.length - FINDINGS_MINIMISED} more kinds were not made smaller`);
  }
  console.log(`\n${campaign.figures()}`);
  return campaign.findings.length === 0 ? 0 : 1;
}

process.exitCode = await main();
