import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { MemoryDevice } from '../../src/blockdev/memory.js';
import { candidates, detect } from '../../src/fs/detect.js';
import type { FormatOption } from '../../src/fs/format.js';
import { holds, identify } from '../../src/fs/identify.js';
import { FORMATS, formatNamed } from '../../src/fs/registry.js';
import { newfs } from '../../src/fs/ffs/tools/newfs.js';
import { defaultsOf } from '../../src/cli/tool-options.js';
import { allVariants } from '../../testing/variants/index.js';

/** What every entry of the registry must keep. */
t.test('every format', async (t) => {
  const names = FORMATS.flatMap(({ name, aliases }) => [name, ...aliases]);
  t.equal(new Set(names).size, names.length, 'no name twice');
  for (const registered of FORMATS) {
    const format = await registered.load();
    const { tools } = format;
    t.equal(format.name, registered.name);
    t.equal((await format.load()).vfsops?.vfs_name, format.name, 'the driver is called the same');
    t.equal(formatNamed(registered.name.toUpperCase()), registered);
    const onDisk = format.source === 'disk' || format.source === 'disks';
    t.equal(tools.describe !== undefined, onDisk, 'what lies on a disk can be described');
    t.equal(await format.probe(new MemoryDevice({ size_bytes: 1 << 20 })), 0, 'zeros are nothing');
    t.equal(await format.probe(new MemoryDevice({ size_bytes: 512 })), 0);
    for (const tool of [tools.describe, tools.make, tools.check, tools.tune, tools.dump])
      if (tool !== undefined) {
        t.type(await tool.load(), 'function');
      }
    checkOptions(t, format.options, []);
    for (const [tool, own] of Object.entries(OF_THE_TOOLS)) {
      checkOptions(t, tools[tool as keyof typeof OF_THE_TOOLS]?.options ?? [], [...OF_ALL, ...own]);
    }
    for (const type of format.partitionTypes) t.match(type, /^(gpt|mbr|bsd|sun|apm):[^A-Z]+$/, type);
  }
});

t.test('every format has a list of variants', async (t) => {
  const variants = await allVariants();
  const names = variants.map(({ name }) => name);
  t.equal(new Set(names).size, names.length, 'no name twice');
  t.same(
    names.filter((name) =>
      FORMATS.some((format) => format.name === name && variants.find((one) => one.name === name)!.type !== name),
    ),
    [],
    'none is called as another format',
  );
  for (const { name, harnesses, powercut, survive } of variants) {
    t.equal(harnesses.includes('powercut'), powercut !== undefined, `${name}: a promise, and what tests it`);
    t.equal(
      harnesses.includes('survive'),
      survive !== undefined,
      `${name}: how it is made, and what kills its servers`,
    );
  }
});

/** Options that the commands have whatever the format. */
const OF_ALL = ['type', 't', 'partition', 'offset', 'help', 'version'];
const OF_THE_TOOLS = {
  make: ['size', 's', 'from', 'force', 'F'],
  check: ['n', 'p', 'y', 'f', 'force'],
  tune: ['dry-run', 'N', 'force', 'F'],
  dump: [],
};

function checkOptions(t: Test, options: readonly FormatOption[], taken: readonly string[]): void {
  const names = options.flatMap(({ name, alias = [] }) => [name, ...[alias].flat()]);
  t.equal(new Set(names).size, names.length, `no option twice: ${names.join(' ')}`);
  t.same(names.filter((name) => taken.includes(name)), [], 'none that the command has itself');
  for (const { name, describe, choices, kind } of options) {
    t.ok(describe.length > 5, `${name} is described`);
    if (choices !== undefined) t.equal(kind, 'text', `${name} has choices`);
  }
}

t.test('what newfs makes is recognised, by the registry alone, and unmade it is not', async (t) => {
  for (const registered of FORMATS) {
    const format = await registered.load();
    if (format.tools.make === undefined) continue;
    const dev = new MemoryDevice({ size_bytes: 64 << 20 });
    const make = await format.tools.make.load();
    const made = await make(dev, defaultsOf(format.tools.make.options), { uid: 0, gid: 0 });
    t.ok(made.summary.length > 5);
    t.ok((await candidates(dev)).includes(registered), `${format.name} is worth looking for`);
    const [first, second] = await detect(dev);
    t.equal(first?.format.name, format.name);
    t.ok(second === undefined || second.score < first!.score, 'and nothing else as much');
    const describe = await format.tools.describe!.load();
    t.equal((await describe(dev)).facts.size <= dev.size_bytes, true);
    t.match(holds((await identify(dev))[0]!), /holds a volume of .* \(mount it with rumpfuse\)/);
    if (format.tools.check !== undefined) {
      const check = await format.tools.check.load();
      t.match(await check(dev, defaultsOf(format.tools.check.options), { mode: 'check', skipClean: false }), {
        clean: true,
        exitStatus: 0,
      });
    }
    await made.unmake();
    t.notOk(
      (await detect(dev)).some(({ format: { name }, score }) => name === format.name && score >= 30),
      'taken off again',
    );
  }
});

t.test('a damaged superblock, and only a copy: traces', async (t) => {
  const dev = new MemoryDevice({ size_bytes: 16 << 20 });
  await newfs(dev, { format: 2 });
  const good = (await detect(dev))[0]!.score;
  const byte = new Uint8Array([0xff, 0xff, 0xff, 0x7f]);
  dev.write(byte, 0, 4, 65536 + 48); // fs_bsize
  const damaged = (await detect(dev))[0]!.score;
  dev.write(new Uint8Array(8192), 0, 8192, 65536);
  const copy = (await detect(dev))[0]?.score ?? 0;
  t.ok(good >= 70 && damaged < 30 && copy > 0 && copy < damaged, `${good} > ${damaged} > ${copy}`);
  t.match(await identify(dev), [], 'nothing that is there as a whole');
});

/** The compiled program, below this file. */
const BUILD = path.join(path.dirname(fileURLToPath(import.meta.url)), '../..');

t.test('a server loads no format but the one it serves', async (t) => {
  const dir = mkdtempSync(path.join(tmpdir(), 'rumpfuse-registry-'));
  t.teardown(() => rmSync(dir, { recursive: true }));
  const program = `
    const { MemoryDevice } = await import(${JSON.stringify(path.join(BUILD, 'src/blockdev/memory.js'))});
    const { loadFormats } = await import(${JSON.stringify(path.join(BUILD, 'src/cli/volume-format.js'))});
    const disk = new MemoryDevice({ size_bytes: 1 << 20 });
    disk.write(new Uint8Array([0x19, 0x01, 0x54, 0x19]), 0, 4, 65536 + 1372);
    const { candidates } = await import(${JSON.stringify(path.join(BUILD, 'src/fs/detect.js'))});
    const loaded = await loadFormats((await candidates(disk)).map(({ name }) => name), false);
    console.log(loaded.map(({ format }) => format.name).join());
  `;
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
    encoding: 'utf8',
    env: { ...process.env, NODE_V8_COVERAGE: dir },
  });
  t.equal(stdout.trim(), 'ffs', stderr);
  const scripts = new Set<string>();
  for (const file of readdirSync(dir)) {
    const { result } = JSON.parse(readFileSync(path.join(dir, file), 'utf8')) as { result: { url: string }[] };
    for (const { url } of result) scripts.add(url);
  }
  const folders = [...scripts]
    .map((url) => /\/src\/fs\/([^/]+)\//.exec(url)?.[1])
    .filter((folder) => folder !== undefined);
  t.ok(folders.includes('ffs'), 'it is seen what is loaded');
  t.same([...new Set(folders)].filter((folder) => !['ffs', 'ufs', 'lib'].includes(folder!)), []);
});
