import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import * as fc from 'fast-check';
import t from 'tap';
import { MemoryDevice } from '../../src/blockdev/memory.js';
import { contentAt } from '../../src/blockdev/content.js';
import { RECOGNISERS, recognise } from '../../src/fs/recognise/index.js';

const MiB = 1 << 20;

function device(size: number, ...parts: [offset: number, text: string][]): MemoryDevice {
  const dev = new MemoryDevice({ size_bytes: size });
  for (const [offset, text] of parts) {
    const bytes = Uint8Array.from(text, (c) => c.charCodeAt(0));
    dev.write(bytes, 0, bytes.length, offset < 0 ? size + offset : offset);
  }
  return dev;
}

async function names(dev: MemoryDevice): Promise<string[]> {
  return (await recognise(dev)).map(({ name }) => name);
}

/** Bytes at the places that the formats' own documents name. */
const BY_BYTES: readonly (readonly [name: string, ...parts: [number, string][]])[] = [
  ['lvm2', [512, 'LABELONE'], [512 + 24, 'LVM2 001']],
  ['md', [4096, '\xfc\x4e\x2b\xa9']],
  ['md', [0, '\xfc\x4e\x2b\xa9']],
  ['md', [4 * MiB - 8192, '\xfc\x4e\x2b\xa9']],
  ['md', [4 * MiB - 65536, '\xa9\x2b\x4e\xfc']],
  ['ddf', [-512, '\xde\x11\xde\x11']],
  ['isw', [-1024, 'Intel Raid ISM Cfg Sig. 1.3.00']],
  ['zfs', [131072 + 5 * 1024, '\x0c\xb1\xba\0\0\0\0\0']],
  ['zfs', [4 * MiB - 262144 + 131072, '\0\0\0\0\0\xba\xb1\x0c']],
  ['swap', [65536 - 10, 'SWAPSPACE2']],
  ['bitlocker', [3, '-FVE-FS-']],
  ['hfsplus', [1024, 'H+\0\x04']],
  ['hfs', [1024, 'BD']],
  ['apfs', [32, 'NXSB']],
  ['iso9660', [32769, 'CD001']],
  ['udf', [34817, 'NSR02']],
  ['qcow', [0, 'QFI\xfb']],
  ['vhd', [-512, 'conectix']],
  ['rumpfuse-overlay', [0, 'RUMPOVL1']],
  ['gpt', [4096, 'EFI PART']],
  ['gpt', [-512, 'EFI PART']],
  ['apm', [512, 'PM\0\0']],
  ['rdb', [512, 'RDSK']],
  ['geli', [-512, 'GEOM::ELI']],
];

t.test('what is known by its bytes', async (t) => {
  for (const [name, ...parts] of BY_BYTES) {
    t.ok((await names(device(4 * MiB, ...parts))).includes(name), `${name} at ${parts[0]![0]}`);
  }
  t.strictSame(await names(device(4 * MiB)), [], 'zeros are nothing');
  t.equal(new Set(RECOGNISERS.map(({ name }) => name)).size, RECOGNISERS.length, 'each has a name of its own');
});

t.test('whatever the bytes and the size, it comes to an end and throws nothing', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.uint8Array({ minLength: 1, maxLength: 4096 }),
      fc.integer({ min: 0, max: 70_000 }),
      async (bytes, at) => {
        const dev = new MemoryDevice({ size_bytes: at + bytes.length });
        dev.write(bytes, 0, bytes.length, at);
        await recognise(dev);
        const first = bytes.findIndex((byte) => byte !== 0);
        const found = await contentAt(dev);
        if (found !== (first < 0 ? undefined : at + first))
          throw new Error(`content at ${found}, not at ${at + first}`);
      },
    ),
    { numRuns: 40 },
  );
});

/** Programs that make the real thing; not every host has each. */
const MAKERS: readonly (readonly [name: string, what: RegExp, size: number, ...command: string[]])[] = [
  ['extjournal', /journal of an ext/, 8 * MiB, 'mke2fs', '-q', '-O', 'journal_dev'],
  ['swap', /swap/, MiB, 'mkswap'],
  ['minix', /Minix/, MiB, 'mkfs.minix'],
  ['fat', /FAT/, 2 * MiB, 'mkfs.vfat', '-F', '12'],
  ['fat', /FAT/, 64 * MiB, 'mkfs.vfat', '-F', '32'],
  ['exfat', /exFAT/, 8 * MiB, 'mkfs.exfat'],
  ['ntfs', /NTFS/, 8 * MiB, 'mkntfs', '-FQ'],
  ['xfs', /XFS/, 320 * MiB, 'mkfs.xfs', '-q'],
  ['btrfs', /Btrfs/, 128 * MiB, 'mkfs.btrfs', '-q'],
];

t.test('what other programs have made', async (t) => {
  const dir = mkdtempSync(path.join(tmpdir(), 'rumpfuse-recognise-'));
  t.teardown(() => rmSync(dir, { recursive: true }));
  const blkid = ['/usr/sbin/blkid', '/sbin/blkid'].find(existsSync);
  const environment = { ...process.env, PATH: `${process.env['PATH']}:/usr/sbin:/sbin` };
  for (const [name, what, size, program, ...options] of MAKERS) {
    const image = path.join(dir, 'image');
    writeFileSync(image, '', { mode: 0o600 });
    truncateSync(image, size);
    const made = spawnSync(program!, [...options, image], { env: environment, encoding: 'utf8' });
    if (made.error !== undefined) {
      t.pass(`${program} is not here`, { skip: true });
      continue;
    }
    t.equal(made.status, 0, `${program} ${made.stderr}`);
    // The beginning and the end are enough for every probe, and a device in memory that is sparse is not needed.
    const bytes = readFileSync(image);
    const dev = new MemoryDevice({ size_bytes: size });
    dev.write(bytes, 0, size, 0);
    const found = await recognise(dev);
    t.ok(
      found.some((one) => one.name === name && what.test(one.what)),
      `${program}: ${found.map((one) => one.what).join(', ')}`,
    );
    t.ok(
      found.filter(({ kind }) => kind !== 'table').every((one) => one.name === name),
      `${program}: nothing else is seen`,
    );
    const sized = found.find((one) => one.name === name)?.size_bytes;
    if (sized !== undefined) t.ok(sized <= size && sized > size / 2, `${program}: its size is ${sized} of ${size}`);
    if (blkid !== undefined) t.equal(spawnSync(blkid, ['-p', image]).status, 0, `blkid knows what ${program} makes`);
  }
});
