/**
 * -o async: no barriers but those of sync and unmount, in so many words; nothing of the sort where there is a journal.
 */
import t from 'tap';
import type { Test } from 'tap';
import { MemoryDevice } from '../../src/blockdev/memory.js';
import { MNT_ASYNC, O_CREAT, O_RDWR } from '../../src/kernel/fcntl.js';
import type { RumpSys } from '../../src/kernel/sys/rumpsys.js';
import { V, bytesOf, checked, newdisk, pattern, put } from './write-support.js';
import { manifest, mountFfs } from './volumes.js';

class CountingDevice extends MemoryDevice {
  flushes = 0;
  override flush(): void {
    this.flushes++;
    super.flush();
  }
}

/** Makes files and fsyncs each, writes into one and fdatasyncs. */
async function work(sys: RumpSys): Promise<void> {
  await sys.mkdir(`${V}/d`, 0o755);
  for (let i = 0; i < 10; i++) {
    const fd = await sys.open(`${V}/d/f${i}`, O_CREAT | O_RDWR, 0o644);
    await sys.pwrite(fd, pattern(20_000, i), 0);
    await sys.fsync(fd);
    await sys.pwrite(fd, pattern(4_000, i + 1), 0);
    await sys.fdatasync(fd);
    await sys.close(fd);
  }
  await sys.rename(`${V}/d/f1`, `${V}/moved`);
  await sys.unlink(`${V}/d/f2`);
}

async function flushes(
  t: Test,
  flags: number,
  log: boolean,
): Promise<{ worked: number; synced: number; said: string[] }> {
  const dev = new CountingDevice({ content: bytesOf(await newdisk({ format: 2 }, 8 * 2 ** 20)) });
  const vol = await mountFfs(dev, flags, log ? { log: true } : {});
  dev.flushes = 0;
  await work(vol.sys);
  const worked = dev.flushes;
  await vol.sys.sync();
  const synced = dev.flushes - worked;
  await put(vol.sys, `${V}/last`, pattern(100, 1));
  const held = await manifest(vol.sys);
  await vol.close();
  const again = await mountFfs(dev);
  t.equal(await manifest(again.sys), held, 'unmounted, everything is there');
  await again.close();
  await checked(t, dev, 'after unmount');
  return { worked, synced, said: vol.log };
}

t.test('ordered writes', async (t) => {
  const ordered = await flushes(t, 0, false);
  t.ok(ordered.worked >= 30, `${ordered.worked} barriers for ten new files and ten overwrites that were fsynced`);
  const async_ = await flushes(t, MNT_ASYNC, false);
  t.equal(async_.worked, 0, 'no barrier');
  t.equal(async_.synced, 1, 'sync has one');
  t.match(async_.said.join('\n'), /-o async promises nothing: fsync does not wait/);
});

t.test('with a journal', async (t) => {
  const plain = await flushes(t, 0, true);
  const async_ = await flushes(t, MNT_ASYNC, true);
  t.equal(async_.worked, plain.worked, 'the same barriers');
  t.match(async_.said.join('\n'), /-o async changes nothing, for the volume has a journal/);
  t.notMatch(plain.said.join('\n'), /async/);
});
