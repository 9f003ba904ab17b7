import t from 'tap';
import { EXTATTR_NAMESPACE_SYSTEM, EXTATTR_NAMESPACE_USER } from '../../src/kernel/fcntl.js';
import type { RumpSys } from '../../src/kernel/sys/rumpsys.js';
import { V, newdisk, pattern, put, rw } from './write-support.js';
import { failure } from './volumes.js';

const MAGIC = 0x00b5d5ec;

/** Makes a backing file of UFS1 as extattrctl(8) and the kernel write it. */
async function backing(sys: RumpSys, where: string, le: boolean, room: number, records: readonly (readonly [ino: number, gen: number, value: Uint8Array])[]): Promise<void> {
  const last = Math.max(...records.map(([ino]) => ino));
  const bytes = new Uint8Array(12 + (last + 1) * (12 + room));
  const view = new DataView(bytes.buffer);
  view.setUint32(0, MAGIC, le);
  view.setUint32(4, 3, le);
  view.setUint32(8, room, le);
  for (const [ino, gen, value] of records) {
    const at = 12 + ino * (12 + room);
    view.setUint32(at, 1, le);
    view.setUint32(at + 4, value.length, le);
    view.setUint32(at + 8, gen, le);
    bytes.set(value, at + 12);
  }
  await put(sys, where, bytes);
}

for (const [endian, le] of [['little', true], ['big', true], ['big', false]] as const) {
  t.test(`UFS1, ${endian}-endian, attributes written by a ${le ? 'little' : 'big'}-endian machine`, async (t) => {
    const dev = await newdisk({ format: 1, endian, blockSize: 8192, fragSize: 1024 }, 8 * 2 ** 20);
    const vol = await rw(dev);
    const { sys } = vol;
    await put(sys, `${V}/file`, pattern(10, 1));
    await put(sys, `${V}/other`, pattern(10, 1));
    t.match(await failure(sys.extattr_get_file(`${V}/file`, EXTATTR_NAMESPACE_USER, 'colour')), /^EOPNOTSUPP/, 'without .attribute');
    for (const dir of ['.attribute', '.attribute/user', '.attribute/system']) await sys.mkdir(`${V}/${dir}`, 0o755);
    t.same(await sys.extattr_list_file(`${V}/file`, EXTATTR_NAMESPACE_USER), [], 'none yet');
    const file = await sys.stat(`${V}/file`);
    const other = await sys.stat(`${V}/other`);
    const ino = Number(file.st_ino);
    await backing(sys, `${V}/.attribute/user/colour`, le, 64, [[ino, file.st_gen, Buffer.from('green')]]);
    await backing(sys, `${V}/.attribute/user/stale`, le, 64, [[ino, file.st_gen + 1, Buffer.from('of a file that is gone')]]);
    await backing(sys, `${V}/.attribute/system/label`, le, 2000, [[ino, file.st_gen, pattern(2000, 7)], [Number(other.st_ino), other.st_gen, new Uint8Array(0)]]);
    await put(sys, `${V}/.attribute/user/garbage`, pattern(5000, 3));
    t.equal(Buffer.from(await sys.getxattr(`${V}/file`, 'user.colour')).toString(), 'green');
    t.same(await sys.extattr_list_file(`${V}/file`, EXTATTR_NAMESPACE_USER), ['colour']);
    t.same(await sys.listxattr(`${V}/file`), ['user.colour', 'system.label']);
    t.same(Buffer.from(await sys.extattr_get_file(`${V}/file`, EXTATTR_NAMESPACE_SYSTEM, 'label')), Buffer.from(pattern(2000, 7)));
    t.equal((await sys.extattr_get_file(`${V}/other`, EXTATTR_NAMESPACE_SYSTEM, 'label')).length, 0, 'an empty value');
    for (const name of ['stale', 'garbage', 'absent']) t.match(await failure(sys.extattr_get_file(`${V}/file`, EXTATTR_NAMESPACE_USER, name)), /^ENOATTR/, name);
    t.match(await failure(sys.extattr_get_file(`${V}/other`, EXTATTR_NAMESPACE_USER, 'colour')), /^ENOATTR/, 'another file');
    t.equal(vol.log.filter((line) => line.includes('backing file')).length, 1, 'a file that is none is told once');
    t.match(await failure(sys.extattr_set_file(`${V}/file`, EXTATTR_NAMESPACE_USER, 'colour', Buffer.from('red'))), /^EOPNOTSUPP: .*UFS1 are only read/);
    t.match(await failure(sys.extattr_delete_file(`${V}/file`, EXTATTR_NAMESPACE_USER, 'colour')), /^EOPNOTSUPP/);
    await vol.close();
  });
}

for (const endian of ['little', 'big'] as const) {
  t.test(`UFS2 with attributes of NetBSD, ${endian}-endian: by the names of Linux`, async (t) => {
    const dev = await newdisk({ format: '2ea', endian }, 8 * 2 ** 20);
    const vol = await rw(dev);
    const { sys } = vol;
    await put(sys, `${V}/file`, pattern(10, 1));
    await sys.setxattr(`${V}/file`, 'user.a', Buffer.from('1'));
    await sys.setxattr(`${V}/file`, 'system.b', Buffer.from('2'));
    t.same(await sys.listxattr(`${V}/file`), ['user.a', 'system.b']);
    t.equal(Buffer.from(await sys.extattr_get_file(`${V}/file`, EXTATTR_NAMESPACE_USER, 'a')).toString(), '1');
    t.equal(Buffer.from(await sys.extattr_get_file(`${V}/file`, EXTATTR_NAMESPACE_SYSTEM, 'b')).toString(), '2');
    t.match(await failure(sys.setxattr(`${V}/file`, 'security.x', Buffer.from('1'))), /^EOPNOTSUPP/);
    await sys.removexattr(`${V}/file`, 'user.a');
    t.same(await sys.listxattr(`${V}/file`), ['system.b']);
    await vol.close();
  });
}
