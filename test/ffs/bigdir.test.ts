import t from 'tap';
import type { BlockDevice } from '../../src/kernel/blkdev.js';
import { MNT_NOATIME, MNT_RDONLY, MNT_RELATIME, O_CREAT, O_RDONLY, O_RDWR } from '../../src/kernel/fcntl.js';
import type { RumpSys } from '../../src/kernel/sys/rumpsys.js';
import { MOUNTPOINT, failure, mountFfs, names } from './volumes.js';
import { checked, newdisk, rw } from './write-support.js';

/**
 * Directories with very many names. FFS_BIGDIR sets how many (more than some hundred thousand take minutes under tap).
 */
const NAMES = Number(process.env.FFS_BIGDIR ?? 6000);
/** Names of one file; below LINK_MAX. */
const LINKS = 10_000;

/** Counts what is read from a device. */
function counting(dev: BlockDevice): BlockDevice & { bytes: number } {
  return {
    bytes: 0,
    name: dev.name, size_bytes: dev.size_bytes, sector_bytes: dev.sector_bytes, readonly: dev.readonly,
    read(into, at, length, offset) {
      this.bytes += length;
      return dev.read(into, at, length, offset);
    },
    write: (from, at, length, offset) => dev.write(from, at, length, offset),
    flush: () => dev.flush(),
    discard: (offset, length) => dev.discard(offset, length),
    close() {},
  };
}

const nameOf = (i: number): string => `${MOUNTPOINT}/dir/a name with number ${i}`;

async function exists(sys: RumpSys, path: string): Promise<boolean> {
  const said = await failure(sys.lstat(path));
  if (said !== '' && !said.startsWith('ENOENT')) throw new Error(said);
  return said === '';
}

for (const [format, endian] of [[2, 'little'], [1, 'big']] as const) {
  t.test(`${NAMES} names, UFS${format} ${endian}-endian`, async (t) => {
    const dev = await newdisk({ format, endian, blockSize: 16384, fragSize: 2048 }, 128 * 2 ** 20);
    let vol = await rw(counting(dev));
    await vol.sys.mkdir(`${MOUNTPOINT}/dir`, 0o755);
    for (let i = 0; i < NAMES; i++) {
      if (i % LINKS === 0) {
        await vol.sys.close(await vol.sys.open(`${MOUNTPOINT}/file${i / LINKS}`, O_RDWR | O_CREAT, 0o644));
      }
      await vol.sys.link(`${MOUNTPOINT}/file${Math.floor(i / LINKS)}`, nameOf(i));
    }
    await vol.close();

    // A cache far smaller than the directory: every rescan would have to read it again.
    const counted = counting(dev);
    vol = await mountFfs(counted, MNT_RDONLY, {}, 96 * 1024);
    const size = (await vol.sys.stat(`${MOUNTPOINT}/dir`)).st_size;
    t.ok(await exists(vol.sys, nameOf(NAMES - 1)), 'the last name');
    counted.bytes = 0;
    let missing = 0;
    for (let i = 0; i < 1000; i++) {
      if (!(await exists(vol.sys, nameOf((i * 7919) % NAMES)))) missing++;
      if (await exists(vol.sys, `${nameOf(i)}x`)) missing++;
    }
    t.equal(missing, 0, 'names are found, others are not');
    t.ok(counted.bytes < 1000 * 4 * 16384, `2000 lookups read ${counted.bytes} bytes, the directory has ${size}`);
    t.equal(
      new Set(await names(vol.sys, Buffer.from(`${MOUNTPOINT}/dir`))).size,
      NAMES,
      'readdir shows every name once',
    );
    await vol.close();

    vol = await rw(counting(dev));
    let wrong = 0;
    for (let i = 0; i < NAMES; i += 3) await vol.sys.unlink(nameOf(i));
    for (let i = 1; i < NAMES; i += 3) {
      await vol.sys.rename(nameOf(i), `${nameOf(i)} and a longer one than it had before`);
    }
    for (let i = 0; i < NAMES; i += 3) {
      await vol.sys.link(`${MOUNTPOINT}/file${Math.floor(i / LINKS)}`, `${MOUNTPOINT}/dir/new ${i}`);
    }
    for (let i = 0; i < NAMES; i++) {
      if ((await exists(vol.sys, nameOf(i))) !== (i % 3 === 2)) wrong++;
      if (i % 3 === 1 && !(await exists(vol.sys, `${nameOf(i)} and a longer one than it had before`))) wrong++;
      if (i % 3 === 0 && !(await exists(vol.sys, `${MOUNTPOINT}/dir/new ${i}`))) wrong++;
    }
    t.equal(wrong, 0, 'the index follows removals, renames and additions');
    await vol.close();
    vol = await mountFfs(counting(dev), MNT_RDONLY);
    for (let i = 0; i < NAMES; i += 11) if ((await exists(vol.sys, nameOf(i))) !== (i % 3 === 2)) wrong++;
    t.equal(wrong, 0, 'and so does the disk');
    await vol.close();
    await checked(t, dev, 'afterwards');
  });
}

t.test('a directory is read in pieces while it changes', async (t) => {
  const dev = await newdisk({ format: 2, endian: 'little', blockSize: 8192, fragSize: 1024 });
  const vol = await rw(dev);
  const { sys } = vol;
  await sys.mkdir(`${MOUNTPOINT}/dir`, 0o755);
  const path = (i: number): string => `${MOUNTPOINT}/dir/${'n'.repeat(i % 40)}${i}`;
  const make = async (i: number): Promise<void> => sys.close(await sys.open(path(i), O_RDWR | O_CREAT, 0o644));
  for (let i = 0; i < 1000; i++) await make(i);
  const fd = await sys.open(`${MOUNTPOINT}/dir`, O_RDONLY);
  const seen = new Map<string, number>();
  for (let round = 0; ; round++) {
    const entries = await sys.getdents(fd, 37);
    if (entries.length === 0) break;
    for (const e of entries) seen.set(e.d_name, (seen.get(e.d_name) ?? 0) + 1);
    // Removals, and new names that fit in between and force compaction.
    for (let k = 0; k < 5; k++) await failure(sys.unlink(path(((round * 5 + k) * 31) % 500)));
    await make(2000 + round);
  }
  await sys.close(fd);
  let lost = 0;
  for (let i = 500; i < 1000; i++) if (seen.get(path(i).slice(`${MOUNTPOINT}/dir/`.length)) !== 1) lost++;
  t.equal(lost, 0, 'what was there all the time is seen exactly once');
  await vol.close();
});

t.test('access times', async (t) => {
  const dev = await newdisk({ format: 2, endian: 'big', blockSize: 8192, fragSize: 1024 });
  const file = `${MOUNTPOINT}/file`;
  /** Sets the access and change time, reads, and says whether the access time moved, also after a remount. */
  const moves = async (flags: number, atime: number): Promise<boolean> => {
    let vol = await mountFfs(counting(dev), 0);
    const fd = await vol.sys.open(file, O_RDWR | O_CREAT, 0o644);
    await vol.sys.write(fd, new Uint8Array(10));
    await vol.sys.futimens(fd, { sec: atime, nsec: 0 }, { sec: 5000, nsec: 0 });
    await vol.sys.close(fd);
    await vol.close();
    vol = await mountFfs(counting(dev), flags);
    const reader = await vol.sys.open(file, O_RDONLY);
    await vol.sys.read(reader, new Uint8Array(5));
    await vol.sys.close(reader);
    const now = (await vol.sys.stat(file)).st_atime;
    await vol.close();
    vol = await mountFfs(counting(dev), MNT_RDONLY);
    t.equal((await vol.sys.stat(file)).st_atime, now, 'the disk has it');
    await vol.close();
    return now !== atime;
  };
  t.equal(await moves(0, 1000), true, 'a read sets the access time');
  t.equal(await moves(MNT_NOATIME, 1000), false, 'noatime');
  t.equal(await moves(MNT_RDONLY, 1000), false, 'read-only');
  t.equal(await moves(MNT_RELATIME, 1000), true, 'relatime: older than the modification');
  t.equal(await moves(MNT_RELATIME, 1_900_000_000), false, 'relatime: younger than everything');
  await checked(t, dev, 'afterwards');
});
