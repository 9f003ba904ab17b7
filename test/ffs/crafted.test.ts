import t from 'tap';
import { sb_ckhash_verifies, calculate_crc32c } from '../../src/fs/ffs/disk/ckhash.js';
import { Fs } from '../../src/fs/ffs/disk/fs.js';
import { Dinode, dinode_load, dinode_store } from '../../src/fs/ufs/dinode.js';
import { put64 } from '../../src/fs/lib/endian.js';
import { extattr_base } from '../../src/fs/ufs/extattr.js';
import {
  EXTATTR_NAMESPACE_SYSTEM,
  EXTATTR_NAMESPACE_USER,
  MNT_RDONLY,
  O_RDONLY,
  SEEK_DATA,
  SEEK_HOLE,
} from '../../src/kernel/fcntl.js';
import { MOUNTPOINT, disk, failure, fixture, fixtureManifest, has, manifest, mountFfs, readFile } from './volumes.js';

/** What the fixtures do not hold, put into copies of them by hand. */
const skip = has('zstd') ? false : 'zstd is not installed';

/** A copy of a fixture in which single structures are replaced. */
class Workshop {
  readonly image: Uint8Array;
  readonly view: DataView;
  readonly fs: Fs;
  readonly sbloc: number;
  private next: number;

  constructor(name: string) {
    this.image = fixture(name).slice();
    this.view = new DataView(this.image.buffer);
    this.sbloc = name.includes('ffs2') ? 65536 : 8192;
    this.fs = Fs.decode(this.image.subarray(this.sbloc, this.sbloc + 8192), this.sbloc)!;
    // From the end of the volume, where the fixtures are empty.
    this.next = this.fs.blknum(this.fs.fs_size - 1);
  }
  /** A block that nothing uses: its frag number. Filled with zeros. */
  block(): number {
    this.next -= this.fs.fs_frag;
    this.image.fill(0, this.next * this.fs.fs_fsize, (this.next + this.fs.fs_frag) * this.fs.fs_fsize);
    return this.next;
  }
  at(fsb: number): number {
    return fsb * this.fs.fs_fsize;
  }
  /** Sets pointer `i` of the indirect block at `fsb`. */
  point(fsb: number, i: number, to: number): void {
    if (this.fs.ufs2) put64(this.view, this.at(fsb) + 8 * i, to, this.fs.le);
    else this.view.setInt32(this.at(fsb) + 4 * i, to, this.fs.le);
  }
  inode(ino: number, change: (ip: Dinode) => void): void {
    const fmt = { le: this.fs.le, ufs2: this.fs.ufs2, oldids: false, maxsymlinklen: this.fs.fs_maxsymlinklen };
    const at = this.at(this.fs.ino_to_fsba(ino)) + this.fs.ino_to_bo(ino);
    const ip = new Dinode();
    dinode_load(ip, this.view, at, fmt);
    change(ip);
    dinode_store(ip, this.view, at, fmt);
  }
}

/** The inode number of a file of a fixture. */
async function inoOf(name: string, path: string): Promise<number> {
  const vol = await mountFfs(disk(fixture(name)));
  const ino = Number((await vol.sys.lstat(`${MOUNTPOINT}/${path}`)).st_ino);
  await vol.close();
  return ino;
}

for (const name of ['netbsd-ffs2-le', 'netbsd-ffs2-be', 'netbsd-ffs1-be']) {
  t.test(`three levels of indirection: ${name}`, { skip }, async (t) => {
    const shop = new Workshop(name);
    const { fs } = shop;
    const n = fs.fs_nindir;
    const bsize = fs.fs_bsize;
    // One block at the start, one behind each kind of indirection, two of them far out.
    const lbns = [
      0,
      12 + 5,
      12 + n + 3 * n + 7,
      12 + n + n * n + 2 * n * n + 5 * n + 9,
      12 + n + n * n + 2 * n * n + 5 * n + 10,
    ];
    const blocks = lbns.map(() => shop.block());
    // The last two shall be one run.
    blocks.sort((a, b) => a - b);
    blocks.forEach((fsb, i) => shop.image.fill(i + 1, shop.at(fsb), shop.at(fsb) + bsize));
    const level = [shop.block(), shop.block(), shop.block(), shop.block(), shop.block(), shop.block()];
    shop.point(level[0]!, 5, blocks[1]!);
    shop.point(level[1]!, 3, level[2]!);
    shop.point(level[2]!, 7, blocks[2]!);
    shop.point(level[3]!, 2, level[4]!);
    shop.point(level[4]!, 5, level[5]!);
    shop.point(level[5]!, 9, blocks[3]!);
    shop.point(level[5]!, 10, blocks[4]!);
    const size = (lbns[4]! + 1) * bsize - 100;
    shop.inode(await inoOf(name, 'hello.txt'), (ip) => {
      ip.i_db.fill(0);
      ip.i_db[0] = blocks[0]!;
      ip.i_ib[0] = level[0]!;
      ip.i_ib[1] = level[1]!;
      ip.i_ib[2] = level[3]!;
      ip.i_size = size;
    });
    const vol = await mountFfs(disk(shop.image));
    const { sys } = vol;
    t.equal((await sys.stat(`${MOUNTPOINT}/hello.txt`)).st_size, size, `${Math.round(size / 2 ** 30)} GiB`);
    const fd = await sys.open(`${MOUNTPOINT}/hello.txt`, O_RDONLY);
    const extents: number[][] = [];
    const began = process.cpuUsage();
    for (let at = 0; ; ) {
      const said = await failure(sys.lseek(fd, at, SEEK_DATA));
      if (said !== '') break;
      const from = await sys.lseek(fd, at, SEEK_DATA);
      at = await sys.lseek(fd, from, SEEK_HOLE);
      extents.push([from, at]);
    }
    t.same(
      extents,
      [
        [0, bsize],
        [lbns[1]! * bsize, (lbns[1]! + 1) * bsize],
        [lbns[2]! * bsize, (lbns[2]! + 1) * bsize],
        [lbns[3]! * bsize, size],
      ],
      'data exactly where it is',
    );
    const { user, system } = process.cpuUsage(began);
    t.ok(user + system < 5_000_000, 'found without walking through the holes');
    const buf = new Uint8Array(4 * bsize);
    for (const [i, lbn] of lbns.slice(0, 4).entries()) {
      const got = await sys.pread(fd, buf, Math.max(0, (lbn - 1) * bsize));
      const want = new Uint8Array(got);
      const start = lbn === 0 ? 0 : bsize;
      want.fill(i + 1, start, start + bsize);
      if (i === 3) want.fill(5, start + bsize);
      t.same(Buffer.from(buf.subarray(0, got)), Buffer.from(want), `around block ${lbn}`);
    }
    await sys.close(fd);
    await vol.close();
  });
}

t.test('indirect blocks in a circle, pointers beyond the volume', { skip }, async (t) => {
  const name = 'netbsd-ffs2-le';
  const ino = await inoOf(name, 'hello.txt');
  const shop = new Workshop(name);
  const circle = shop.block();
  for (let i = 0; i < shop.fs.fs_nindir; i++) shop.point(circle, i, circle);
  shop.inode(ino, (ip) => {
    ip.i_ib.fill(circle);
    ip.i_db[3] = shop.fs.fs_size;
    ip.i_db[4] = -5;
    ip.i_db[5] = shop.fs.fs_size - 1;
    ip.i_size = 2 ** 42;
  });
  const vol = await mountFfs(disk(shop.image));
  const fd = await vol.sys.open(`${MOUNTPOINT}/hello.txt`, O_RDONLY);
  const buf = new Uint8Array(8192);
  for (const at of [12 * 8192, 2 ** 30, 2 ** 41]) {
    t.equal(await vol.sys.pread(fd, buf, at), 8192, `a circle is read as what it is, at ${at}`);
  }
  for (const lbn of [3, 4, 5]) {
    t.match(await failure(vol.sys.pread(fd, buf, lbn * 8192)), /^EIO: inode/, `pointer ${lbn}`);
  }
  await failure(vol.sys.pread(fd, buf, 3 * 8192));
  t.equal(vol.log.filter((l) => l.includes('direct block 3')).length, 1, 'told once');
  await vol.sys.close(fd);
  await vol.close();
});

t.test('extended attributes', { skip }, async (t) => {
  for (const name of ['netbsd-ffs2-le', 'netbsd-ffs2-be']) {
    const ino = await inoOf(name, 'hello.txt');
    const shop = new Workshop(name);
    const { fs, view } = shop;
    const block = shop.block();
    const second = shop.block();
    const entry = (at: number, namespace: number, attr: string, content: Uint8Array): number => {
      const base = extattr_base(attr.length);
      const padding = (8 - (content.length % 8)) % 8;
      const bytes = new Uint8Array(base + content.length + padding);
      new DataView(bytes.buffer).setUint32(0, bytes.length, fs.le);
      bytes.set([namespace, padding, attr.length], 4);
      bytes.set(new TextEncoder().encode(attr), 7);
      bytes.set(content, base);
      // The area goes on in the second block.
      for (const [i, b] of bytes.entries()) {
        view.setUint8(at + i < fs.fs_bsize ? shop.at(block) + at + i : shop.at(second) + at + i - fs.fs_bsize, b);
      }
      return at + bytes.length;
    };
    const large = new Uint8Array(9000).map((_, i) => i * 7);
    let end = entry(0, EXTATTR_NAMESPACE_USER, 'color', new TextEncoder().encode('green'));
    end = entry(end, EXTATTR_NAMESPACE_SYSTEM, 'posix1e.acl_access', new Uint8Array(16));
    end = entry(end, EXTATTR_NAMESPACE_USER, 'x', new Uint8Array(0));
    end = entry(end, EXTATTR_NAMESPACE_USER, 'large', large);
    shop.inode(ino, (ip) => {
      ip.i_extsize = end;
      ip.i_extb[0] = block;
      ip.i_extb[1] = second;
    });
    const vol = await mountFfs(disk(shop.image));
    const path = `${MOUNTPOINT}/hello.txt`;
    t.same(
      await vol.sys.extattr_list_file(path, EXTATTR_NAMESPACE_USER),
      ['color', 'x', 'large'],
      `${name}: user names`,
    );
    t.same(await vol.sys.extattr_list_file(path, EXTATTR_NAMESPACE_SYSTEM), ['posix1e.acl_access'], 'system names');
    t.equal(
      Buffer.from(await vol.sys.extattr_get_file(path, EXTATTR_NAMESPACE_USER, 'color')).toString(),
      'green',
      'a value',
    );
    t.equal((await vol.sys.extattr_get_file(path, EXTATTR_NAMESPACE_USER, 'x')).length, 0, 'an empty one');
    t.same(
      Buffer.from(await vol.sys.extattr_get_file(path, EXTATTR_NAMESPACE_USER, 'large')),
      Buffer.from(large),
      'one across both blocks',
    );
    t.match(
      await failure(vol.sys.extattr_get_file(path, EXTATTR_NAMESPACE_USER, 'none')),
      /^ENOATTR/,
      'none of that name',
    );
    t.match(
      await failure(vol.sys.extattr_get_file(`${MOUNTPOINT}/empty`, EXTATTR_NAMESPACE_USER, 'color')),
      /^ENOATTR/,
      'a file without',
    );
    t.equal(Buffer.from(await vol.sys.getxattr(path, 'user.color')).toString(), 'green', 'by its Linux name');
    await vol.close();
  }
});

t.test('dialects', { skip }, async (t) => {
  // FreeBSD: a superblock check hash that verifies.
  const hashed = new Workshop('netbsd-ffs2-le');
  hashed.view.setUint32(hashed.sbloc + 1308, 1, true);
  hashed.view.setUint32(hashed.sbloc + 1312, 0x300, true);
  const sb = hashed.image.slice(hashed.sbloc, hashed.sbloc + hashed.fs.fs_sbsize);
  hashed.view.setUint32(hashed.sbloc + 1304, calculate_crc32c(0xffffffff, sb), true);
  t.ok(
    sb_ckhash_verifies(Fs.decode(hashed.image.subarray(hashed.sbloc, hashed.sbloc + 8192), hashed.sbloc)!),
    'the hash verifies',
  );
  const freebsd = await mountFfs(disk(hashed.image), 0);
  t.match(freebsd.log.join('\n'), /mounted read-only: it has NFSv4 access control lists/, 'FreeBSD is recognised');
  t.equal(await manifest(freebsd.sys), fixtureManifest('netbsd-ffs2-le'), 'and read');
  await freebsd.close();
  hashed.view.setUint32(hashed.sbloc + 1304, 12345, true);
  const unknown = await mountFfs(disk(hashed.image), 0);
  t.match(unknown.log.join('\n'), /nothing on it tells which wrote it/, 'a hash that does not verify is no evidence');
  await unknown.close();
  const told = await mountFfs(disk(hashed.image), 0, { dialect: 'freebsd' });
  t.match(told.log.join('\n'), /the check hash of its superblock is wrong/, 'the user decides');
  await told.close();

  // Apple UFS: a label at 7 KiB, directory chunks of 1 KiB.
  const apple = new Workshop('netbsd-ffs1-be');
  const label = apple.image.subarray(7168, 8192);
  label.fill(0);
  const view = new DataView(label.buffer, 7168, 1024);
  view.setUint32(0, 0x4c41424c);
  view.setUint32(6, 1);
  view.setUint16(16, 3);
  let sum = 0;
  for (let i = 0; i < 1024; i += 2) sum += view.getUint16(i);
  sum = (sum >>> 16) + (sum & 0xffff);
  sum += sum >>> 16;
  view.setUint16(4, ~sum & 0xffff);
  const vol = await mountFfs(disk(apple.image), MNT_RDONLY);
  t.equal(await manifest(vol.sys), fixtureManifest('netbsd-ffs1-be'), 'Apple UFS');
  await vol.close();
});

t.test('a snapshot', { skip }, async (t) => {
  const name = 'netbsd-ffs2-le';
  const ino = await inoOf(name, 'hello.txt');
  const shop = new Workshop(name);
  const copy = shop.block();
  shop.image.fill(0x77, shop.at(copy), shop.at(copy) + 8192);
  shop.inode(ino, (ip) => {
    ip.i_db.fill(0);
    ip.i_db[1] = copy;
    ip.i_db[2] = 1;
    ip.i_db[3] = 2;
    ip.i_flags = 0x00200000;
    ip.i_size = 20 * 8192;
  });
  const plain = await mountFfs(disk(shop.image));
  t.equal(
    (await readFile(plain.sys, `${MOUNTPOINT}/hello.txt`, 9 * 8192))[8 * 8192 + 1372],
    0,
    'the flag alone makes no snapshot',
  );
  await plain.close();
  shop.view.setUint32(shop.sbloc + 1116, ino, true);
  const vol = await mountFfs(disk(shop.image));
  const bytes = await readFile(vol.sys, `${MOUNTPOINT}/hello.txt`, 20 * 8192);
  t.ok(
    bytes.subarray(8192, 16384).every((b) => b === 0x77),
    'a block that was copied',
  );
  t.ok(
    bytes.subarray(16384, 32768).every((b) => b === 0),
    'blocks that held nothing',
  );
  t.same(
    Buffer.from(bytes.subarray(32768)),
    Buffer.from(shop.image.subarray(32768, 20 * 8192)),
    'blocks that have not changed since',
  );
  await vol.close();
});

t.test('directories that lie', { skip }, async (t) => {
  const name = 'netbsd-ffs2-le';
  const shop = new Workshop(name);
  const block = shop.block();
  const at = shop.at(block);
  const put = (offset: number, ino: number, reclen: number, entry: string): void => {
    shop.view.setUint32(at + offset, ino, true);
    shop.view.setUint16(at + offset + 4, reclen, true);
    shop.view.setUint8(at + offset + 6, 8);
    shop.view.setUint8(at + offset + 7, entry.length);
    for (let i = 0; i < entry.length; i++) shop.view.setUint8(at + offset + 8 + i, entry.charCodeAt(i));
  };
  put(0, 3, 12, '.');
  put(12, await inoOf(name, 'hello.txt'), 12, '..');
  put(24, 99999, 16, 'beyond');
  put(40, 1500, 16, 'unused');
  put(56, 1, 16, 'white');
  put(72, 4, 16, 'a/b');
  put(88, 4, 424, 'a\0b');
  put(512, 4, 2000, 'crossing');
  put(1024, 2, 12, 'x');
  put(1036, 2, 500, 'end');
  put(1536, 2, 3, 'odd');
  shop.inode(await inoOf(name, 'dir/sub'), (ip) => {
    ip.i_db.fill(0);
    ip.i_db[0] = block;
    ip.i_size = 4 * 8192;
  });
  const vol = await mountFfs(disk(shop.image));
  const { sys } = vol;
  const dir = `${MOUNTPOINT}/dir/sub`;
  const fd = await sys.open(dir, O_RDONLY);
  t.same(
    (await sys.getdents(fd)).map((e) => e.d_name),
    ['.', '..', 'unused', 'x', 'end'],
    'what can be believed is shown',
  );
  await sys.close(fd);
  for (const [entry, said] of [
    ['beyond', /^ENOENT/],
    ['unused', /^EIO/],
    ['white', /^ENOENT/],
    ['crossing', /^ENOENT/],
    ['odd', /^ENOENT/],
    ['none', /^ENOENT/],
    ['..', /^EIO/],
  ] as const) {
    t.match(await failure(sys.lstat(`${dir}/${entry}`)), said, entry);
  }
  t.equal((await sys.lstat(`${dir}/end`)).st_ino, 2n, 'a good entry between bad ones');
  t.ok(vol.log.length >= 5 && vol.log.length < 40, `${vol.log.length} lines tell of it`);
  t.equal((await readFile(sys, `${MOUNTPOINT}/hello.txt`, 13)).length, 13, 'the rest of the volume is fine');
  await vol.close();
});
