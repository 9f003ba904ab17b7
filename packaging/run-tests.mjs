// Runs the compiled tests with node-tap, prints what failed and what was skipped, and closes with
// `N passed, N failed, N skipped`. Under CI a skipped test counts as a failure: there everything must run.
//   node packaging/run-tests.mjs [name-part ...]     only files whose path contains one of the parts
// HARNESS.each.test.js is run once for each file system (the matrix: for each variant) that goes through that harness,
// as an argument; a name part may be one of those, too: `run-tests.mjs matrix ffs2-le` runs both, `run-tests.mjs
// 'matrix.each.test.js ffs2-le'` that one.
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import path from 'node:path';

const root = fileURLToPath(new URL('..', import.meta.url));
const wanted = process.argv.slice(2);
const { runsOf } = await import('../build/testing/variants/index.js');
const { fuzzedFileSystems } = await import('../build/fuzz/formats.js');
const EACH = /([a-z]+)\.each\.test\.js$/;
const all = [];
for (const name of readdirSync(path.join(root, 'build/test'), { recursive: true }).filter((one) =>
  one.endsWith('.test.js'),
)) {
  const harness = EACH.exec(name)?.[1];
  for (const which of harness === undefined
    ? ['']
    : harness === 'fuzz'
      ? await fuzzedFileSystems()
      : await runsOf(harness)) {
    all.push(`build/test/${name}${which === '' ? '' : ` ${which}`}`);
  }
}
const files = all
  .filter((name) => wanted.length === 0 || wanted.some((part) => name.slice('build/test/'.length).includes(part)))
  .sort();
if (files.length === 0) {
  console.error(`no test file matches ${wanted.join(' ')}`);
  process.exit(1);
}

// Only for what hangs: no verdict is to depend on how fast the machine is, or on who else works on it.
const FILE_TIMEOUT_S = 3600;
const total = { pass: 0, fail: 0, skip: 0 };
const started = performance.now();

/** Runs one file under plain node (node-tap prints TAP there) and counts the assertions that are no subtests. */
function run(file) {
  return new Promise((resolve) => {
    const begin = performance.now();
    const child = spawn(process.execPath, ['--enable-source-maps', ...file.split(' ')], {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, TAP_TIMEOUT: String(FILE_TIMEOUT_S) },
    });
    let out = '';
    child.stdout.on('data', (chunk) => (out += chunk));
    child.stderr.on('data', (chunk) => (out += chunk));
    const timer = setTimeout(() => child.kill('SIGKILL'), (FILE_TIMEOUT_S + 10) * 1000);
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      const count = { pass: 0, fail: 0, skip: 0 };
      const failures = [];
      for (const line of out.split('\n')) {
        const match = /^ *(not ok|ok) \d+(.*)$/.exec(line);
        if (!match || /\{$/.test(line)) continue;
        if (/# SKIP/i.test(line)) {
          count.skip++;
          console.log(`SKIPPED ${file}: ${match[2].trim()}`);
        } else if (match[1] === 'ok') count.pass++;
        else if (!/# TODO/i.test(line)) {
          count.fail++;
          failures.push(line.trim());
        }
      }
      if ((code !== 0 || signal) && count.fail === 0) {
        count.fail++;
        failures.push(signal ? `ended by ${signal} (over ${FILE_TIMEOUT_S} s?)` : `exit status ${code}`);
      }
      if (count.pass + count.skip === 0 && count.fail === 0) {
        count.fail++;
        failures.push('ran no assertion');
      }
      for (const key of Object.keys(total)) total[key] += count[key];
      const seconds = ((performance.now() - begin) / 1000).toFixed(1);
      console.log(
        `${count.fail ? 'FAILED ' : 'ok     '} ${file}  ${count.pass} ` +
          `passed${count.fail ? `, ${count.fail} failed` : ''}${count.skip ? `, ${count.skip} skipped` : ''}  ` +
          `${seconds} s`,
      );
      if (count.fail) {
        for (const failure of failures.slice(0, 20)) console.log(`        ${failure}`);
        console.log(out.slice(-12_000));
      }
      resolve();
    });
  });
}

const queue = [...files];
await Promise.all(Array.from({ length: Math.max(1, availableParallelism()) }, async () => {
  for (let file = queue.shift(); file; file = queue.shift()) await run(file);
}));

const strict = Boolean(process.env.CI) && total.skip > 0;
if (strict) {
  console.log(`${total.skip} tests were skipped; under CI that is a failure`);
  total.fail += total.skip;
}
console.log(`${files.length} files in ${((performance.now() - started) / 1000).toFixed(0)} s`);
console.log(`${total.pass} passed, ${total.fail} failed`);
process.exit(total.fail ? 1 : 0);
