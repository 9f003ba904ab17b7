import assert from 'node:assert/strict';
import { O_CREAT, O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY, R_OK, W_OK, X_OK } from '../../../src/kernel/fcntl.js';
import { UF_NODUMP, SF_IMMUTABLE } from '../../../src/kernel/stat.js';
import { fails, getText, put } from '../check.js';
import type { Case } from '../matrix.js';

const PAST = 1_000_000_000_000_000_000n;

/** What who may not be the superuser can do. */
export const unprivCases: readonly Case[] = [
  {
    name: 'unprivileged: owner of what he makes',
    needs: ['owners', 'processes'],
    async run({ fs, proc }) {
      await fs.chmod('', 0o777);
      const user = await proc(1000, 1000);
      await put(user, 'file', 'x');
      await user.mkdir('dir');
      assert.equal((await fs.stat('file')).uid, 1000);
      assert.equal((await fs.stat('dir')).uid, 1000);
    },
  },
  {
    name: 'unprivileged: chmod and chown',
    needs: ['owners', 'modes', 'processes'],
    async run({ fs, proc }) {
      await fs.chmod('', 0o777);
      const user = await proc(1000, 1000, [1000, 2000]);
      await put(user, 'mine', 'x');
      await put(fs, 'roots', 'x');
      await fails('EPERM', user.chmod('roots', 0o777), "chmod of another's");
      await fails('EPERM', user.chown('roots', 1000, -1), "chown of another's");
      await fails('EPERM', user.chown('mine', 1001, -1), 'giving away');
      await user.chown('mine', -1, 2000);
      assert.equal((await fs.stat('mine')).gid, 2000);
      await fails('EPERM', user.chown('mine', -1, 3000), 'to a group that he is not in');
      await user.chmod('mine', 0o600);
      assert.equal((await fs.stat('mine')).mode, 0o600);
    },
  },
  {
    name: 'unprivileged: permissions of files',
    needs: ['owners', 'modes', 'processes'],
    async run({ fs, proc }) {
      await put(fs, 'file', 'secret');
      await fs.chown('file', 1000, 2000);
      const owner = await proc(1000, 1);
      const member = await proc(1001, 2000);
      const supplementary = await proc(1002, 1, [2000]);
      const other = await proc(1003, 3);
      await fs.chmod('file', 0o640);
      await owner.access('file', R_OK | W_OK);
      for (const one of [member, supplementary]) {
        assert.equal(await getText(one, 'file'), 'secret');
        await fails('EACCES', one.open('file', O_WRONLY), 'group for writing');
        await fails('EACCES', one.access('file', W_OK), 'access');
      }
      await fails('EACCES', other.open('file', O_RDONLY), 'others');
      await fails('EACCES', other.truncate('file', 0), 'truncate by others');
      await fs.chmod('file', 0o066);
      await fails('EACCES', owner.open('file', O_RDONLY), 'the owner is judged as owner');
      await owner.chmod('file', 0o606);
      await fails('EACCES', member.open('file', O_RDONLY), 'a member is judged as member');
      await other.close(await other.open('file', O_RDWR));
      await fails('EACCES', other.access('file', X_OK), 'execute');
    },
  },
  {
    name: 'unprivileged: permissions of directories',
    needs: ['owners', 'modes', 'processes'],
    async run({ fs, proc }) {
      await fs.mkdir('dir');
      await put(fs, 'dir/file', 'x');
      await fs.chmod('dir/file', 0o666);
      const user = await proc(1000, 1000);
      await fs.chmod('dir', 0o711);
      assert.equal(await getText(user, 'dir/file'), 'x');
      await fails('EACCES', user.readdir('dir'), 'readdir without r');
      await fails('EACCES', user.open('dir/new', O_WRONLY | O_CREAT), 'create without w');
      await fails('EACCES', user.unlink('dir/file'), 'unlink without w');
      await fails('EACCES', user.rename('dir/file', 'dir/x'), 'rename without w');
      await fails('EACCES', user.mkdir('dir/x'), 'mkdir without w');
      await fs.chmod('dir', 0o744);
      assert.equal((await user.readdir('dir')).length, 1);
      await fails('EACCES', user.stat('dir/file'), 'stat without x');
      await fails('EACCES', user.stat('dir/none'), 'stat of nothing without x');
      await fails('EACCES', user.stat('dir/.'), '. without x');
      await fs.chmod('dir', 0o777);
      await user.unlink('dir/file');
    },
  },
  {
    name: 'unprivileged: the sticky bit',
    needs: ['owners', 'modes', 'processes'],
    async run({ fs, proc }) {
      await fs.mkdir('tmp');
      await fs.chmod('tmp', 0o1777);
      const [a, b] = [await proc(1000, 1000), await proc(1001, 1001)];
      await put(a, 'tmp/file', 'x');
      await a.mkdir('tmp/dir');
      await put(b, 'tmp/b', 'y');
      await fails(['EPERM', 'EACCES'], b.unlink('tmp/file'), "unlink of another's");
      await fails(['EPERM', 'EACCES'], b.rename('tmp/file', 'tmp/x'), "rename of another's");
      await fails(['EPERM', 'EACCES'], b.rename('tmp/b', 'tmp/file'), "rename over another's");
      await fails(['EPERM', 'EACCES'], b.rmdir('tmp/dir'), "rmdir of another's");
      await a.rename('tmp/file', 'tmp/x');
      await a.unlink('tmp/x');
      await a.rmdir('tmp/dir');
    },
  },
  {
    name: 'unprivileged: times',
    needs: ['owners', 'modes', 'processes'],
    async run({ fs, proc }) {
      await put(fs, 'file', 'x');
      await fs.chown('file', 1000, 1000);
      await fs.chmod('file', 0o666);
      const [owner, writer] = [await proc(1000, 1000), await proc(1001, 1001)];
      await owner.utimes('file', PAST, PAST);
      await fails('EPERM', writer.utimes('file', PAST, PAST), 'a set time by who may only write');
      await writer.utimes('file', 'now', 'now');
      assert((await fs.stat('file')).mtime > PAST);
      await fs.chmod('file', 0o644);
      await fails('EACCES', writer.utimes('file', 'now', 'now'), 'now by who may not write');
      await owner.chmod('file', 0o444);
      await owner.utimes('file', 'now', 'now');
    },
  },
  {
    name: 'unprivileged: flags',
    needs: ['flags', 'processes', 'owners'],
    async run({ fs, proc }) {
      await fs.chmod('', 0o777);
      const user = await proc(1000, 1000);
      await put(user, 'mine', 'x');
      await put(fs, 'roots', 'x');
      await user.chflags('mine', UF_NODUMP);
      assert.equal(await fs.getflags('mine'), UF_NODUMP);
      await fails('EPERM', user.chflags('roots', UF_NODUMP), "another's");
      await fails('EPERM', user.chflags('mine', SF_IMMUTABLE), 'a system flag');
    },
  },
  {
    name: 'unprivileged: set-id bits go when others write or own',
    needs: ['owners', 'modes', 'processes'],
    async run({ fs, proc }) {
      await put(fs, 'file', 'x');
      await fs.chown('file', 1000, 1000);
      const user = await proc(1000, 1000, [1000, 2000]);
      await fs.chmod('file', 0o6777);
      const fd = await user.open('file', O_WRONLY);
      await user.pwrite(fd, Uint8Array.of(1), 0);
      await user.close(fd);
      assert.equal((await fs.stat('file')).mode & 0o6000, 0, 'after a write');
      await fs.chmod('file', 0o6777);
      await user.chown('file', -1, 2000);
      assert.equal((await fs.stat('file')).mode & 0o6000, 0, 'after chown');
    },
  },
  {
    name: 'unprivileged: hard links to files of others',
    needs: ['hardlinks', 'owners', 'processes'],
    async run({ fs, proc }) {
      await fs.chmod('', 0o777);
      await fs.mkdir('closed');
      await put(fs, 'file', 'x');
      await put(fs, 'closed/file', 'x');
      await fs.chmod('closed', 0o700);
      const user = await proc(1000, 1000);
      await put(user, 'mine', 'x');
      await user.link('mine', 'mine2');
      await fails('EACCES', user.link('closed/file', 'stolen'), 'from a closed directory');
      await fails('EACCES', user.link('mine', 'closed/x'), 'into a closed directory');
      assert.equal((await fs.stat('closed/file')).nlink, 1);
    },
  },
  {
    name: 'unprivileged: truncation on open needs write permission',
    needs: ['owners', 'modes', 'processes'],
    async run({ fs, proc }) {
      await put(fs, 'file', 'content');
      await fs.chmod('file', 0o444);
      const user = await proc(1000, 1000);
      await fails('EACCES', user.open('file', O_WRONLY | O_TRUNC), 'O_TRUNC');
      assert.equal(await getText(fs, 'file'), 'content');
    },
  },
];
