import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import t from 'tap';
import * as rumpfuse from '../../src/index.js';
import {
  MNT_RDONLY,
  MemoryDevice,
  O_CREAT,
  O_RDONLY,
  O_RDWR,
  RumpKernel,
  bytestrToUnicode,
  createImage,
  ffs,
  fsck,
  newfs,
  nodeRumpuser,
  openImage,
  tmpfs,
} from '../../src/index.js';

/** What README.md promises to those who import the kernel. */
t.test('a volume in memory, from nothing', async (t) => {
  const disk = new MemoryDevice({ size_bytes: 16 << 20 });
  await newfs(disk, { format: 2 });
  const rump = await RumpKernel.boot({ rumpuser: nodeRumpuser(), components: [tmpfs, ffs] });
  await rump.sys.mkdir('/mnt', 0o755);
  await rump.sys.mount('ffs', '/mnt', 0, { fspec: disk });
  const fd = await rump.sys.open('/mnt/grüße', O_RDWR | O_CREAT, 0o644);
  t.equal(await rump.sys.write(fd, new TextEncoder().encode('hello')), 5);
  await rump.sys.close(fd);
  const dir = await rump.sys.open('/mnt', O_RDONLY);
  const names = (await rump.sys.getdents(dir)).map((entry) => bytestrToUnicode(entry.d_name));
  t.strictSame(names.sort(), ['.', '..', 'grüße']);
  await t.rejects(rump.sys.open('/mnt/nothing', O_RDONLY), { code: 'ENOENT', errno: rumpfuse.E.ENOENT });
  await rump.halt();
  t.equal((await fsck(disk)).clean, true);
});

t.test('an image file, opened read-only, several kernels at once', async (t) => {
  const dir = mkdtempSync(path.join(tmpdir(), 'rumpfuse-lib-'));
  t.teardown(() => rmSync(dir, { recursive: true }));
  const file = path.join(dir, 'disk.img');
  const host = nodeRumpuser();
  const fresh = await createImage(host, file, 16 << 20);
  await newfs(fresh, { format: 1, endian: 'big' });
  await fresh.close();
  const kernels = await Promise.all([1, 2, 3].map(async () => {
    const rump = await RumpKernel.boot({ rumpuser: host, components: [tmpfs, ffs] });
    await rump.sys.mkdir('/mnt', 0o755);
    await rump.sys.mount('ffs', '/mnt', MNT_RDONLY, { fspec: await openImage(host, file, { readonly: true }) });
    return rump;
  }));
  for (const rump of kernels) {
    t.equal((await rump.sys.stat('/mnt')).st_ino, 2n);
    await t.rejects(rump.sys.mkdir('/mnt/no', 0o755), { code: 'EROFS' });
  }
  await Promise.all(kernels.map((rump) => rump.halt()));
});
