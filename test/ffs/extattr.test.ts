import t from 'tap';
import { EXTATTR_NAMESPACE_SYSTEM, EXTATTR_NAMESPACE_USER } from '../../src/kernel/fcntl.js';
import type { RumpSys } from '../../src/kernel/sys/rumpsys.js';
import { V, checked, newdisk, pattern, put, rw } from './write-support.js';
import { failure, mountFfs, readFile } from './volumes.js';

const MAGIC = 0x00b5d5ec;

/** Makes a backing file of UFS1 as extattrctl(8) and the kernel write it. */
async function backing(
  sys: RumpSys,
  where: string,
  le: boolean,
  room: number,
  records: readonly (readonly [ino: number, gen: number, value: Uint8Array])[],
): Promise<void> {
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
    t.match(
      await failure(sys.extattr_get_file(`${V}/file`, EXTATTR_NAMESPACE_USER, 'colour')),
      /^EOPNOTSUPP/,
      'without .attribute',
    );
    for (const dir of ['.attribute', '.attribute/user', '.attribute/system']) await sys.mkdir(`${V}/${dir}`, 0o755);
    t.same(await sys.extattr_list_file(`${V}/file`, EXTATTR_NAMESPACE_USER), [], 'none yet');
    const file = await sys.stat(`${V}/file`);
    const other = await sys.stat(`${V}/other`);
    const ino = Number(file.st_ino);
    await backing(sys, `${V}/.attribute/user/colour`, le, 64, [[ino, file.st_gen, Buffer.from('green')]]);
    await backing(sys, `${V}/.attribute/user/stale`, le, 64, [
      [ino, file.st_gen + 1, Buffer.from('of a file that is gone')],
    ]);
    await backing(sys, `${V}/.attribute/system/label`, le, 2000, [
      [ino, file.st_gen, pattern(2000, 7)],
      [Number(other.st_ino), other.st_gen, new Uint8Array(0)],
    ]);
    await put(sys, `${V}/.attribute/user/garbage`, pattern(5000, 3));
    t.equal(Buffer.from(await sys.getxattr(`${V}/file`, 'user.colour')).toString(), 'green');
    t.same(await sys.extattr_list_file(`${V}/file`, EXTATTR_NAMESPACE_USER), ['colour']);
    t.same(await sys.listxattr(`${V}/file`), ['user.colour', 'system.label']);
    t.same(
      Buffer.from(await sys.extattr_get_file(`${V}/file`, EXTATTR_NAMESPACE_SYSTEM, 'label')),
      Buffer.from(pattern(2000, 7)),
    );
    t.equal((await sys.extattr_get_file(`${V}/other`, EXTATTR_NAMESPACE_SYSTEM, 'label')).length, 0, 'an empty value');
    for (const name of ['stale', 'garbage', 'absent']) {
      t.match(await failure(sys.extattr_get_file(`${V}/file`, EXTATTR_NAMESPACE_USER, name)), /^ENOATTR/, name);
    }
    t.match(
      await failure(sys.extattr_get_file(`${V}/other`, EXTATTR_NAMESPACE_USER, 'colour')),
      /^ENOATTR/,
      'another file',
    );
    t.equal(vol.log.filter((line) => line.includes('backing file')).length, 1, 'a file that is none is told once');

    // Changed in place, in the byte order of the file.
    const before = await readFile(
      sys,
      `${V}/.attribute/user/colour`,
      Number((await sys.stat(`${V}/.attribute/user/colour`)).st_size),
    );
    await sys.setxattr(`${V}/file`, 'user.colour', Buffer.from('red'));
    await sys.extattr_set_file(`${V}/other`, EXTATTR_NAMESPACE_USER, 'colour', Buffer.from('blue'));
    t.equal(Buffer.from(await sys.getxattr(`${V}/file`, 'user.colour')).toString(), 'red');
    t.equal(Buffer.from(await sys.getxattr(`${V}/other`, 'user.colour')).toString(), 'blue');
    const after = await readFile(
      sys,
      `${V}/.attribute/user/colour`,
      Number((await sys.stat(`${V}/.attribute/user/colour`)).st_size),
    );
    const at = 12 + ino * 76;
    const view = new DataView(after.buffer, after.byteOffset);
    t.same([view.getUint32(at, le), view.getUint32(at + 4, le), view.getUint32(at + 8, le)], [1, 3, file.st_gen]);
    t.same(after.subarray(0, 12), before.subarray(0, 12), 'the header of the file stays');
    await sys.extattr_set_file(`${V}/file`, EXTATTR_NAMESPACE_USER, 'stale', Buffer.from('mine'));
    t.equal(
      Buffer.from(await sys.getxattr(`${V}/file`, 'user.stale')).toString(),
      'mine',
      'the record of a file that is gone is taken over',
    );
    t.match(
      await failure(sys.extattr_set_file(`${V}/file`, EXTATTR_NAMESPACE_USER, 'colour', new Uint8Array(65))),
      /^ENOSPC: .*room for 64 bytes/,
    );
    t.equal(Buffer.from(await sys.getxattr(`${V}/file`, 'user.colour')).toString(), 'red', 'and stays as it was');
    t.match(
      await failure(sys.extattr_set_file(`${V}/file`, EXTATTR_NAMESPACE_USER, 'garbage', new Uint8Array(1))),
      /^EIO: .*no valid header/,
    );
    await sys.removexattr(`${V}/file`, 'user.colour');
    t.match(await failure(sys.extattr_get_file(`${V}/file`, EXTATTR_NAMESPACE_USER, 'colour')), /^ENOATTR/);
    t.match(await failure(sys.extattr_delete_file(`${V}/file`, EXTATTR_NAMESPACE_USER, 'colour')), /^ENOATTR/);
    t.match(await failure(sys.extattr_delete_file(`${V}/file`, EXTATTR_NAMESPACE_USER, 'absent')), /^ENOATTR/);
    t.same(await sys.listxattr(`${V}/file`), ['user.stale', 'system.label']);
    await vol.close();
    await checked(t, dev, 'attributes changed');
    const again = await rw(dev);
    t.same(await again.sys.listxattr(`${V}/file`), ['user.stale', 'system.label']);
    t.equal(Buffer.from(await again.sys.getxattr(`${V}/other`, 'user.colour')).toString(), 'blue');
    await again.close();
  });
}

for (const options of [{ endian: 'little' }, { endian: 'big' }, { endian: 'little', log: true }] as const) {
  t.test(`UFS1, ${options.endian}-endian${'log' in options ? ', with a journal' : ''}: new attributes`, async (t) => {
    const dev = await newdisk({ format: 1, endian: options.endian, blockSize: 8192, fragSize: 1024 }, 8 * 2 ** 20);
    const vol = 'log' in options ? await mountFfs(dev, 0, { log: true }) : await rw(dev);
    const { sys } = vol;
    for (const dir of ['.attribute', '.attribute/user', '.attribute/system', 'dir']) {
      await sys.mkdir(`${V}/${dir}`, 0o755);
    }
    await put(sys, `${V}/file`, pattern(10, 1));
    t.match(await failure(sys.stat(`${V}/.attribute/user/new`)), /^ENOENT/, 'looked for before');
    await sys.setxattr(`${V}/file`, 'user.new', Buffer.from('value'));
    const st = await sys.stat(`${V}/.attribute/user/new`);
    t.equal(st.st_mode & 0o7777, 0o600);
    const bytes = await readFile(sys, `${V}/.attribute/user/new`, Number(st.st_size));
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    const le = options.endian === 'little';
    t.same(
      [view.getUint32(0, le), view.getUint32(4, le), view.getUint32(8, le)],
      [MAGIC, 3, 1024],
      'as NetBSD makes it',
    );
    t.match(await failure(sys.setxattr(`${V}/file`, 'user.larger', new Uint8Array(1025))), /^ENOSPC/);
    t.match(await failure(sys.stat(`${V}/.attribute/user/larger`)), /^ENOENT/, 'no file for what has no room');
    for (const name of ['user.a/b', 'user...', 'user..']) {
      t.match(await failure(sys.setxattr(`${V}/file`, name, Buffer.from('1'))), /^EINVAL/, name);
    }
    await sys.mkdir(`${V}/.attribute/user/directory`, 0o755);
    t.match(await failure(sys.setxattr(`${V}/file`, 'user.directory', Buffer.from('1'))), /^EIO/);
    // An attempt that ended between the file and its header.
    await put(sys, `${V}/.attribute/user/empty`, new Uint8Array(0));
    t.match(await failure(sys.getxattr(`${V}/file`, 'user.empty')), /^ENOATTR/);
    await sys.setxattr(`${V}/file`, 'user.empty', Buffer.from('no more'));
    t.equal(Buffer.from(await sys.getxattr(`${V}/file`, 'user.empty')).toString(), 'no more');
    // On directories, among them those that hold attributes, on the files of attributes, and many at once.
    for (const target of [
      '',
      '/dir',
      '/.attribute',
      '/.attribute/user',
      '/.attribute/user/new',
      '/.attribute/user/empty',
    ]) {
      await sys.setxattr(`${V}${target}`, 'user.new', Buffer.from(`of ${target}`));
      await sys.setxattr(`${V}${target}`, `user.first-on${target.replaceAll('/', '-')}`, Buffer.from('1'));
      t.equal(Buffer.from(await sys.getxattr(`${V}${target}`, 'user.new')).toString(), `of ${target}`);
    }
    await Promise.all(
      Array.from({ length: 40 }, async (_, i) => {
        const target = [
          `${V}/file`,
          `${V}/dir`,
          `${V}/.attribute/user/new`,
          `${V}/.attribute/user/empty`,
          `${V}/.attribute/user`,
        ][i % 5]!;
        await sys.setxattr(target, `user.${['new', 'empty', `many${i % 7}`][i % 3]!}`, Buffer.from(`${i}`));
        await sys.getxattr(target, `user.${['empty', 'new'][i % 2]!}`).catch(() => undefined);
        if (i % 4 === 0) await put(sys, `${V}/.attribute/user/by-hand${i}`, pattern(100, i));
        if (i % 6 === 0) await sys.rename(`${V}/.attribute/user/by-hand0`, `${V}/dir/moved`).catch(() => undefined);
        await sys.listxattr(target);
      }),
    );
    t.equal(Buffer.from(await sys.getxattr(`${V}/dir`, 'user.many4')).toString(), '11');
    // The generation keeps a file's successor from its attributes.
    const ino = (await sys.stat(`${V}/file`)).st_ino;
    await sys.unlink(`${V}/file`);
    await sys.sync();
    for (let i = 0; i < 20; i++) {
      await put(sys, `${V}/successor`, pattern(10, 1));
      if ((await sys.stat(`${V}/successor`)).st_ino === ino) break;
      await sys.rename(`${V}/successor`, `${V}/other${i}`);
    }
    t.equal((await sys.stat(`${V}/successor`)).st_ino, ino);
    t.same(await sys.listxattr(`${V}/successor`), []);
    await vol.close();
    await checked(t, dev, 'new attributes');
  });
}

t.test('UFS1: who may not make files makes no attributes, FreeBSD makes none by itself', async (t) => {
  const dev = await newdisk({ format: 1 }, 8 * 2 ** 20);
  let vol = await rw(dev);
  for (const dir of ['.attribute', '.attribute/user']) await vol.sys.mkdir(`${V}/${dir}`, 0o755);
  await put(vol.sys, `${V}/file`, pattern(10, 1));
  await vol.sys.chown(`${V}/file`, 1000, 1000);
  await vol.sys.setxattr(`${V}/file`, 'user.there', Buffer.from('1'));
  const user = vol.kernel.newproc(1000, 1000);
  await user.setxattr(`${V}/file`, 'user.there', Buffer.from('2'));
  t.equal(Buffer.from(await user.getxattr(`${V}/file`, 'user.there')).toString(), '2');
  t.match(await failure(user.setxattr(`${V}/file`, 'user.new', Buffer.from('1'))), /^EACCES/);
  t.match(await failure(user.setxattr(`${V}/file`, 'system.new', Buffer.from('1'))), /^EPERM/);
  t.match(
    await failure(vol.sys.setxattr(`${V}/file`, 'system.new', Buffer.from('1'))),
    /^EOPNOTSUPP/,
    'no directory for the namespace',
  );
  await vol.close();
  vol = await mountFfs(dev, 0, { dialect: 'freebsd' });
  await vol.sys.setxattr(`${V}/file`, 'user.there', Buffer.from('3'));
  t.match(await failure(vol.sys.setxattr(`${V}/file`, 'user.new', Buffer.from('1'))), /^ENOATTR/);
  await vol.close();
  await checked(t, dev, 'attributes');
  vol = await mountFfs(dev);
  t.equal(Buffer.from(await vol.sys.getxattr(`${V}/file`, 'user.there')).toString(), '3');
  t.match(await failure(vol.sys.setxattr(`${V}/file`, 'user.there', Buffer.from('1'))), /^EROFS/);
  await vol.close();
});

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
    await sys.setxattr(`${V}/file`, 'security.x', Buffer.from('3'));
    const whole = await sys.extattr_get_file(`${V}/file`, EXTATTR_NAMESPACE_SYSTEM, 'security.x');
    t.equal(
      Buffer.from(whole).toString(),
      '3',
      "Linux's other namespaces lie in the system namespace under their whole names",
    );
    t.match(await failure(sys.setxattr(`${V}/file`, 'nonsense.x', Buffer.from('1'))), /^EOPNOTSUPP/);
    await sys.removexattr(`${V}/file`, 'user.a');
    await sys.removexattr(`${V}/file`, 'security.x');
    t.same(await sys.listxattr(`${V}/file`), ['system.b']);
    await vol.close();
  });
}
