import t from 'tap';
import { O_CREAT, O_RDWR, SEEK_DATA } from '../../src/kernel/fcntl.js';
import { GEOMETRIES, V, checked, get, newdisk, pattern, room, rw, same, titleOf } from './write-support.js';

/** In a directory of its own, for the root directory stays as large as it became. */
const D = `${V}/dir`;

/**
 * Files grow and shrink across every boundary of the format: fragment, block, last direct block, each level of
 * indirection.
 */
for (const geometry of GEOMETRIES) {
  const bsize = geometry.blockSize!;
  const fsize = geometry.fragSize!;
  const edges = [fsize, bsize, 2 * bsize, 12 * bsize];
  const sizes = [
    ...new Set([0, 1, ...edges.flatMap((e) => [e - 1, e, e + 1]), 11 * bsize + fsize, 13 * bsize + 7]),
  ].sort((a, b) => a - b);

  await t.test(`${titleOf(geometry)}: from every size to every size`, async (t) => {
    const dev = await newdisk(geometry, 128 * 2 ** 20);
    const vol = await rw(dev);
    const { sys } = vol;
    const before = await room(sys);
    await sys.mkdir(D, 0o755);
    const data = pattern(14 * bsize, 3);
    const more = pattern(777, 9);
    let bad = '';
    for (const from of sizes) {
      for (const to of sizes) {
        const name = `${D}/${from}-${to}`;
        const fd = await sys.open(name, O_RDWR | O_CREAT, 0o644);
        if (from > 0) await sys.pwrite(fd, data, 0, 0, from);
        await sys.ftruncate(fd, to);
        const want = new Uint8Array(Math.max(to, to + 100 + more.length));
        want.set(data.subarray(0, Math.min(from, to)));
        if (!same(await get(sys, name), want.subarray(0, to))) bad += ` ${name} after truncate`;
        // Behind a gap: what was cut off must not come back.
        await sys.pwrite(fd, more, to + 100);
        want.set(more, to + 100);
        if (!same(await get(sys, name), want)) bad += ` ${name} after write`;
        await sys.close(fd);
        if ((from + to) % 3 === 0) await sys.unlink(name);
      }
    }
    t.equal(bad, '', 'contents');
    await vol.close();
    await checked(t, dev, 'grown and shrunk', geometry);
    const again = await rw(dev);
    for (const from of sizes) {
      for (const to of sizes)
        if ((from + to) % 3 !== 0) {
          await again.sys.unlink(`${D}/${from}-${to}`);
        }
    }
    await again.sys.rmdir(D);
    await again.sys.sync();
    t.equal(await room(again.sys), before, 'all room is back');
    await again.close();
    await checked(t, dev, 'emptied', geometry);
  });

  await t.test(`${titleOf(geometry)}: byte by byte and in odd pieces`, async (t) => {
    const dev = await newdisk(geometry, 16 * 2 ** 20);
    const vol = await rw(dev);
    const { sys } = vol;
    const data = pattern(15 * bsize, 5);
    for (const piece of [1, fsize - 1, fsize + 1, bsize - 3, 3 * bsize + 5]) {
      const length = piece === 1 ? 2 * fsize + 3 : data.length;
      const fd = await sys.open(`${V}/p${piece}`, O_RDWR | O_CREAT, 0o644);
      for (let at = 0; at < length; at += piece) await sys.write(fd, data, at, Math.min(piece, length - at));
      await sys.close(fd);
      t.ok(same(await get(sys, `${V}/p${piece}`), data.subarray(0, length)), `pieces of ${piece}`);
    }
    await vol.close();
    await checked(t, dev, 'appended', geometry);
  });

  await t.test(`${titleOf(geometry)}: sparse through three levels`, async (t) => {
    const dev = await newdisk(geometry, 16 * 2 ** 20);
    const vol = await rw(dev);
    const { sys } = vol;
    const before = await room(sys);
    const n = bsize / (geometry.format === 0 || geometry.format === 1 ? 4 : 8);
    // The last block of each level and the first of the next, as far as files of the format reach.
    const limit = geometry.format === 0 ? 2 ** 39 : 0x7ffffff0 * bsize;
    const lbns = [11, 12, 12 + n - 1, 12 + n, 12 + n + n * n - 1, 12 + n + n * n, 12 + n + n * n + 5 * n + 3].filter(
      (lbn) => (lbn + 1) * bsize < limit,
    );
    const fd = await sys.open(`${V}/sparse`, O_RDWR | O_CREAT, 0o644);
    for (const lbn of lbns) await sys.pwrite(fd, pattern(300, lbn % 1000), lbn * bsize + 100);
    const piece = new Uint8Array(300);
    const zero = new Uint8Array(100);
    const check = async (): Promise<string> => {
      let bad = '';
      for (const lbn of lbns) {
        await sys.pread(fd, piece, lbn * bsize + 100);
        if (!same(piece, pattern(300, lbn % 1000))) bad += ` ${lbn}`;
        await sys.pread(fd, zero, lbn * bsize);
        if (zero.some((b) => b !== 0)) bad += ` zeros of ${lbn}`;
      }
      return bad;
    };
    t.equal(await check(), '', 'what was written');
    t.equal(await sys.lseek(fd, 0, SEEK_DATA), 11 * bsize, 'the hole in front');
    await sys.fsync(fd);
    for (let lbn = lbns.pop(); lbn !== undefined; lbn = lbns.pop()) {
      await sys.ftruncate(fd, lbn * bsize);
      t.equal(await check(), '', `cut at block ${lbn}`);
      if (lbns.length === 3) {
        await sys.close(await sys.open(`${V}/other`, O_RDWR | O_CREAT, 0o644));
        await sys.sync();
      }
    }
    await sys.close(fd);
    await sys.unlink(`${V}/other`);
    await sys.unlink(`${V}/sparse`);
    await sys.sync();
    t.equal(await room(sys), before, 'all room is back');
    await vol.close();
    await checked(t, dev, 'cut', geometry);
  });
}
