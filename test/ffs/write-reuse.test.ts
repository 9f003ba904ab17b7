import t from 'tap';
import { FaultDevice } from '../../testing/devices/fault.js';
import { MemoryDevice } from '../../src/blockdev/memory.js';
import { replayUntil } from '../../testing/devices/powercut.js';
import { fsck } from '../../src/fs/ffs/tools/fsck/index.js';
import { MNT_RDONLY, O_CREAT, O_RDWR } from '../../src/kernel/fcntl.js';
import type { RumpSys } from '../../src/kernel/sys/rumpsys.js';
import { mountFfs } from './volumes.js';
import { V, bytesOf, errnameOf, get, newdisk, pattern, put, rw, same, titleOf } from './write-support.js';
import type { Geometry } from './write-support.js';

/**
 * On a full volume one file must take what another has just let go of. As long as the disk may still have the first one
 * as it was, its blocks must hold its bytes: after a cut at any event it is whole, or it is not there as it was.
 */
const GEOMETRY: readonly Geometry[] = [
  { format: 2, endian: 'little', blockSize: 4096, fragSize: 512, inodes: 300 },
  { format: 1, endian: 'big', blockSize: 8192, fragSize: 2048, inodes: 300 },
];

interface Case {
  readonly name: string;
  letgo(sys: RumpSys): Promise<void>;
}

const CASES: readonly Case[] = [
  { name: 'truncation', letgo: (sys) => sys.truncate(`${V}/a`, 0) },
  { name: 'truncation to a part', letgo: (sys) => sys.truncate(`${V}/a`, 50_000) },
  { name: 'unlink', letgo: (sys) => sys.unlink(`${V}/a`) },
  { name: 'replacement by a rename', letgo: (sys) => sys.rename(`${V}/tiny`, `${V}/a`) },
];

for (const geometry of GEOMETRY) {
  for (const one of CASES) {
    await t.test(`${titleOf(geometry)}: ${one.name}`, async (t) => {
      const disk = await newdisk(geometry, 1_500_000);
      let vol = await rw(disk);
      await put(vol.sys, `${V}/tiny`, pattern(100, 9));
      // Most of the volume in one file, the rest in another.
      const first = pattern(900_000, 1);
      await put(vol.sys, `${V}/a`, first);
      const fd = await vol.sys.open(`${V}/rest`, O_RDWR | O_CREAT, 0o644);
      while ((await errnameOf(vol.sys.write(fd, new Uint8Array(8192)))) === '');
      await vol.sys.close(fd);
      await vol.close();
      const before = bytesOf(disk);

      const dev = new FaultDevice(disk, { record: true });
      vol = await rw(dev);
      await one.letgo(vol.sys);
      const second = pattern(700_000, 2);
      await put(vol.sys, `${V}/b`, second);
      const fb = await vol.sys.open(`${V}/b`, O_RDWR, 0);
      await vol.sys.fsync(fb);
      await vol.sys.close(fb);
      t.ok(same(await get(vol.sys, `${V}/b`), second), 'it fits');
      const { events } = dev;
      const count = events.length;
      await vol.close();

      let old = 0;
      let bad = '';
      for (let cut = 0; cut <= count; cut++) {
        for (const keep of [undefined, (i: number) => i % 2 === 0, (i: number) => i === cut - 1]) {
          const after = new MemoryDevice({ content: before });
          await replayUntil(after, events, keep === undefined ? { events: cut } : { events: cut, keep });
          const report = await fsck(after);
          for (const p of report.problems)
            if (p.code === 'DUP_BLOCK' || p.code === 'BAD_BLOCK') {
              bad += ` ${cut}: ${p.message};`;
            }
          const look = await mountFfs(after, MNT_RDONLY);
          try {
            const content = await get(look.sys, `${V}/a`);
            if (content.length === first.length) {
              old++;
              // A truncation on its way may show zeros behind its end (cut indirect blocks), never bytes of another
              // file.
              const partly = one.name === 'truncation to a part';
              if (content.some((byte, i) => byte !== first[i] && !(partly && byte === 0 && i >= 50_000))) {
                bad += ` ${cut}: the old file holds other bytes;`;
              }
            }
          } catch {
            // It is not there any more.
          } finally {
            await look.close();
          }
        }
      }
      t.equal(bad, '', `${count} events`);
      t.ok(old > 3, `the old file was there after ${old} cuts`);
    });
  }
}
