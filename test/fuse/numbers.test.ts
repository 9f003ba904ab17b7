import t from 'tap';
import { E } from '../../src/kernel/errno.js';
import * as K from '../../src/kernel/fcntl.js';
import { major, makedev, minor } from '../../src/kernel/stat.js';
import { constants } from 'node:os';
import { constants as fsConstants } from 'node:fs';
import { L, hostErrno, hostErrnoName } from '../../src/fuse/protocol/errno.js';
import * as H from '../../src/fuse/protocol/linux.js';

t.test('every errno of the kernel has one of the host', (t) => {
  for (const [name, value] of Object.entries(E)) {
    const host = hostErrno(value);
    t.ok(host > 0, `${name} is ${hostErrnoName(host)}`);
    if (name in L && name !== 'EFTYPE') t.equal(hostErrnoName(host), name);
  }
  t.equal(hostErrno(0), 0);
  t.equal(hostErrno(E.ENOATTR), L.ENODATA);
  t.equal(hostErrno(E.ENOTSUP), L.EOPNOTSUPP);
  t.equal(hostErrno(E.EOPNOTSUPP), L.EOPNOTSUPP);
  t.equal(hostErrno(E.EFTYPE), L.EUCLEAN);
  t.equal(hostErrno(77777), L.EIO, 'a number that means nothing');
  t.end();
});

t.test('values are those of this host', { skip: process.platform === 'linux' ? false : 'not Linux' }, (t) => {
  for (const [name, value] of Object.entries(constants.errno))
    if (name in L) {
      t.equal(L[name as keyof typeof L], value, name);
    }
  for (const name of [
    'O_WRONLY',
    'O_RDWR',
    'O_CREAT',
    'O_EXCL',
    'O_TRUNC',
    'O_APPEND',
    'O_NONBLOCK',
    'O_DSYNC',
    'O_SYNC',
    'O_DIRECTORY',
    'O_NOFOLLOW',
    'O_DIRECT',
  ] as const) {
    t.equal(H[name], fsConstants[name as keyof typeof fsConstants], name);
  }
  t.end();
});

t.test('open flags', (t) => {
  t.equal(H.openFlags(0), K.O_RDONLY);
  t.equal(H.openFlags(H.O_RDWR | H.O_CREAT | H.O_EXCL | H.O_TRUNC), K.O_RDWR | K.O_CREAT | K.O_EXCL | K.O_TRUNC);
  t.equal(H.openFlags(H.O_WRONLY | H.O_APPEND), K.O_WRONLY, 'the host has put the position at the end');
  t.equal(H.openFlags(H.O_SYNC), K.O_SYNC);
  t.equal(H.openFlags(H.O_DSYNC), K.O_DSYNC);
  t.equal(H.openFlags(H.O_DIRECTORY | H.O_NOFOLLOW | H.O_NONBLOCK), K.O_DIRECTORY | K.O_NOFOLLOW | K.O_NONBLOCK);
  t.equal(
    H.openFlags(0o1000000 | 0o2000000 | 0o10000000 | 0o100000 | 0o400),
    0,
    'O_NOATIME, O_CLOEXEC, O_PATH, O_LARGEFILE, O_NOCTTY say nothing here',
  );
  t.end();
});

t.test('device numbers', (t) => {
  for (const [ma, mi] of [[0, 0], [1, 3], [8, 17], [254, 255], [4095, 1048575], [300, 70000]] as const) {
    const dev = H.decodeDev(H.encodeDev(makedev(ma, mi)));
    t.same([major(dev), minor(dev)], [ma, mi]);
  }
  t.equal(H.encodeDev(makedev(8, 1)), 0x801);
  t.equal(H.encodeDev(makedev(259, 65536 + 5)), ((65541 & 0xff) | (259 << 8) | ((65541 & 0xfff00) << 12)) >>> 0);
  t.end();
});

t.test('lock types there and back', (t) => {
  for (const type of [H.F_RDLCK, H.F_WRLCK, H.F_UNLCK]) t.equal(H.lockTypeToHost(H.lockTypeToKernel(type)), type);
  t.equal(H.lockTypeToKernel(H.F_RDLCK), K.F_RDLCK);
  t.equal(H.lockTypeToKernel(H.F_WRLCK), K.F_WRLCK);
  t.equal(H.lockTypeToKernel(H.F_UNLCK), K.F_UNLCK);
  t.end();
});
