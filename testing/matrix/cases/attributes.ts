import assert from 'node:assert/strict';
import { F_OK, O_RDONLY, O_TRUNC, O_WRONLY, R_OK, W_OK, X_OK } from '../../../src/kernel/fcntl.js';
import { UF_APPEND, UF_IMMUTABLE, UF_NODUMP } from '../../../src/kernel/stat.js';
import { fails, pattern, put, same } from '../check.js';
import type { Case } from '../matrix.js';

/** Nanoseconds. */
const SECOND = 1_000_000_000n;

/** Owners, modes, flags, extended attributes. */
export const attributeCases: readonly Case[] = [
  {
    name: 'attributes: of a new file',
    needs: ['owners', 'modes'],
    async run({ fs }) {
      const before = BigInt(Date.now()) * 1_000_000n;
      await put(fs, 'file', 'abc', 0o640);
      const st = await fs.stat('file');
      assert.equal(st.mode, 0o640);
      assert.equal(st.uid, 0);
      assert.equal(st.nlink, 1);
      for (const time of [st.atime, st.mtime, st.ctime]) {
        assert(time >= before - 2n * SECOND && time < before + 60n * SECOND, `a time of now, not ${time}`);
      }
    },
  },
  {
    name: 'attributes: chmod, all bits, by path and descriptor',
    needs: ['modes'],
    async run({ fs }) {
      await put(fs, 'file');
      for (const mode of [0o0, 0o777, 0o4755, 0o2755, 0o1644, 0o7777, 0o644]) {
        await fs.chmod('file', mode);
        assert.equal((await fs.stat('file')).mode, mode, mode.toString(8));
      }
      const fd = await fs.open('file', O_RDONLY);
      await fs.fchmod(fd, 0o600);
      assert.equal((await fs.fstat(fd)).mode, 0o600);
      await fs.close(fd);
      await fs.mkdir('dir');
      await fs.chmod('dir', 0o1777);
      assert.equal((await fs.stat('dir')).mode, 0o1777);
      await fails('ENOENT', fs.chmod('none', 0o644), 'of nothing');
    },
  },
  {
    name: 'attributes: chmod and chown of a symlink act on the target',
    needs: ['symlinks', 'modes', 'owners'],
    async run({ fs }) {
      await put(fs, 'file');
      await fs.symlink('file', 'link');
      await fs.chmod('link', 0o600);
      await fs.chown('link', 7, 8);
      const [file, link] = [await fs.stat('file'), await fs.lstat('link')];
      assert.deepEqual([file.mode, file.uid, file.gid], [0o600, 7, 8]);
      assert.notEqual(link.uid, 7);
      await fs.lchown('link', 9, 10);
      assert.deepEqual([(await fs.lstat('link')).uid, (await fs.lstat('link')).gid], [9, 10]);
      assert.equal((await fs.stat('link')).uid, 7);
    },
  },
  {
    name: 'attributes: chown, 32 bits, one of the two',
    needs: ['owners'],
    async run({ fs }) {
      await put(fs, 'file');
      await fs.chown('file', 1000, 2000);
      assert.deepEqual([(await fs.stat('file')).uid, (await fs.stat('file')).gid], [1000, 2000]);
      await fs.chown('file', -1, 3000);
      await fs.chown('file', 70_000, -1);
      assert.deepEqual([(await fs.stat('file')).uid, (await fs.stat('file')).gid], [70_000, 3000]);
      await fs.chown('file', 4_000_000_000, 4_294_967_294);
      assert.deepEqual([(await fs.stat('file')).uid, (await fs.stat('file')).gid], [4_000_000_000, 4_294_967_294]);
      const fd = await fs.open('file', O_RDONLY);
      await fs.fchown(fd, 1, 2);
      await fs.close(fd);
      assert.deepEqual([(await fs.stat('file')).uid, (await fs.stat('file')).gid], [1, 2]);
    },
  },
  {
    name: 'access: of files and directories',
    async run({ fs }) {
      await put(fs, 'file');
      await fs.chmod('file', 0o644);
      await fs.access('file', F_OK);
      await fs.access('file', R_OK | W_OK);
      await fails('EACCES', fs.access('file', X_OK), 'execute for the superuser without any x bit');
      await fs.chmod('file', 0o755);
      await fs.access('file', R_OK | W_OK | X_OK);
      await fs.access('', R_OK | W_OK | X_OK);
      await fails('ENOENT', fs.access('none', F_OK), 'of nothing');
      await fails('ENOTDIR', fs.access('file/x', F_OK), 'below a file');
    },
  },
  {
    name: 'flags: nodump, immutable, append',
    needs: ['flags'],
    async run({ fs }) {
      await put(fs, 'file', 'x');
      await fs.chflags('file', UF_NODUMP);
      assert.equal(await fs.getflags('file'), UF_NODUMP);
      await fs.chflags('file', UF_IMMUTABLE);
      await fails('EPERM', fs.open('file', O_WRONLY), 'write to immutable');
      await fails('EPERM', fs.unlink('file'), 'unlink of immutable');
      await fails('EPERM', fs.rename('file', 'other'), 'rename of immutable');
      await fails('EPERM', fs.chmod('file', 0o777), 'chmod of immutable');
      await fails('EPERM', fs.truncate('file', 0), 'truncate of immutable');
      await fs.chflags('file', UF_APPEND);
      await fails('EPERM', fs.open('file', O_WRONLY), 'overwrite append-only');
      await fails('EPERM', fs.open('file', O_WRONLY | O_TRUNC), 'truncate append-only');
      await fs.chflags('file', 0);
      await put(fs, 'file', 'y');
      await fs.unlink('file');
    },
  },
  {
    name: 'flags: immutable and append-only directories',
    needs: ['flags'],
    async run({ fs }) {
      await fs.mkdir('dir');
      await put(fs, 'dir/file', 'x');
      await fs.chflags('dir', UF_APPEND);
      await put(fs, 'dir/new', 'y');
      await fails('EPERM', fs.unlink('dir/file'), 'unlink from append-only');
      await fs.chflags('dir', UF_IMMUTABLE);
      await fails('EPERM', fs.mkdir('dir/sub'), 'mkdir in immutable');
      await fails('EPERM', fs.unlink('dir/file'), 'unlink from immutable');
      await put(fs, 'dir/file', 'written');
      await fs.chflags('dir', 0);
      await fs.unlink('dir/file');
    },
  },
  {
    name: 'xattr: set, get, list, remove',
    needs: ['xattr'],
    async run({ fs }) {
      await put(fs, 'file');
      await fails(['ENOATTR', 'ENODATA'], fs.getxattr('file', 'user.none'), 'get of nothing');
      assert.deepEqual(await fs.listxattr('file'), []);
      await fs.setxattr('file', 'user.one', pattern(10));
      await fs.setxattr('file', 'user.two', pattern(1000));
      await fs.setxattr('file', 'user.empty', new Uint8Array(0));
      same(await fs.getxattr('file', 'user.one'), pattern(10));
      same(await fs.getxattr('file', 'user.two'), pattern(1000));
      assert.equal((await fs.getxattr('file', 'user.empty')).length, 0);
      assert.deepEqual((await fs.listxattr('file')).sort(), ['user.empty', 'user.one', 'user.two']);
      await fs.setxattr('file', 'user.two', pattern(20, 2));
      same(await fs.getxattr('file', 'user.two'), pattern(20, 2));
      await fails('EEXIST', fs.setxattr('file', 'user.two', pattern(1), 1), 'create over one');
      await fails(['ENOATTR', 'ENODATA'], fs.setxattr('file', 'user.new', pattern(1), 2), 'replace of nothing');
      await fs.removexattr('file', 'user.one');
      await fails(['ENOATTR', 'ENODATA'], fs.removexattr('file', 'user.one'), 'remove again');
      assert.deepEqual((await fs.listxattr('file')).sort(), ['user.empty', 'user.two']);
      await fs.rename('file', 'other');
      same(await fs.getxattr('other', 'user.two'), pattern(20, 2));
    },
  },
];
