/** Operations on names: MKNOD, MKDIR, SYMLINK, READLINK, LINK, UNLINK, RMDIR, RENAME. */
import { E, errno } from '../../kernel/errno.js';
import {
  AT_EMPTY_PATH,
  AT_REMOVEDIR,
  AT_SYMLINK_NOFOLLOW,
  O_CREAT,
  O_EXCL,
  O_RDWR,
  RENAME_EXCHANGE,
  RENAME_NOREPLACE,
  RENAME_WHITEOUT,
} from '../../kernel/fcntl.js';
import { S_IFCHR, S_IFMT, S_IFREG } from '../../kernel/stat.js';
import type { Path } from '../../kernel/sys/rumpsys.js';
import * as F from '../protocol/fuse_kernel.js';
import { decodeDev } from '../protocol/linux.js';
import type { Message } from '../protocol/message.js';
import type { Bridge } from './bridge.js';
import { doneAlready, unlessDone } from './halfdone.js';
import { isDirectory } from './nodes.js';
import type { Node } from './nodes.js';

/** The reply for a name that has just been made. */
async function made(b: Bridge, m: Message, dir: Node, name: Path): Promise<number> {
  await b.own(m).fstatat(dir.fd, name, m.stat, AT_SYMLINK_NOFOLLOW);
  return b.entry(m, dir.fd, name, m.stat);
}

export async function mknod(b: Bridge, m: Message): Promise<number> {
  const mode = m.u32(F.fuse_mknod_in.mode);
  const rdev = m.u32(F.fuse_mknod_in.rdev);
  const name = m.name(F.fuse_mknod_in.SIZEOF);
  const dir = await b.node(m);
  const sys = b.as(m);
  const type = mode & S_IFMT;
  if (type === S_IFREG || type === 0) {
    // mknod(2) makes no plain files here.
    const how = m.halfdone ? O_CREAT | O_RDWR : O_CREAT | O_EXCL | O_RDWR;
    const fd = await sys.openat(dir.fd, name, how, mode & 0o7777);
    await b.own(m).fstat(fd, m.stat);
    const node = b.nodes.created(m, m.stat, fd);
    return b.entryNamed(m, node, dir.fd, name, m.stat);
  }
  await unlessDone(m, sys.mknodat(dir.fd, name, mode, decodeDev(rdev)), 'EEXIST');
  return made(b, m, dir, name);
}

export async function mkdir(b: Bridge, m: Message): Promise<number> {
  const mode = m.u32(F.fuse_mkdir_in.mode);
  const name = m.name(F.fuse_mkdir_in.SIZEOF);
  const dir = await b.node(m);
  await unlessDone(m, b.as(m).mkdirat(dir.fd, name, mode & 0o7777), 'EEXIST');
  return made(b, m, dir, name);
}

export async function symlink(b: Bridge, m: Message): Promise<number> {
  const name = m.name(0);
  const target = m.name(m.behindName(0));
  const dir = await b.node(m);
  await unlessDone(m, b.as(m).symlinkat(target, dir.fd, name), 'EEXIST');
  return made(b, m, dir, name);
}

export async function readlink(b: Bridge, m: Message): Promise<number> {
  const node = await b.node(m);
  const target = await b.as(m).readlinkat(node.fd, '');
  b.channel.large(m, target.length).setBytes(0, target);
  return target.length;
}

export async function link(b: Bridge, m: Message): Promise<number> {
  const lo = m.lo(F.fuse_link_in.oldnodeid);
  const hi = m.hi(F.fuse_link_in.oldnodeid);
  const name = m.name(F.fuse_link_in.SIZEOF);
  const dir = await b.node(m);
  const node = await b.nodes.get(m, lo, hi);
  await unlessDone(m, b.as(m).linkat(node.fd, '', dir.fd, name, AT_EMPTY_PATH), 'EEXIST');
  await b.own(m).fstat(node.fd, m.stat);
  return b.entryNamed(m, node, dir.fd, name, m.stat);
}

export function unlink(b: Bridge, m: Message): Promise<number> {
  return remove(b, m, 0);
}

export function rmdir(b: Bridge, m: Message): Promise<number> {
  return remove(b, m, AT_REMOVEDIR);
}

async function remove(b: Bridge, m: Message, flags: number): Promise<number> {
  const name = m.name(0);
  const found = b.node(m);
  const dir = found instanceof Promise ? await found : found;
  const victim = await b.victim(m, dir.fd, name, m.stat);
  const otherwise = b.traits.folds && (await b.otherwise(dir.fd, name));
  await unlessDone(m, b.as(m).unlinkat(dir.fd, name, flags), 'ENOENT');
  if (otherwise) b.channel.epoch();
  if (victim !== null) b.nodes.pin(victim);
  return 0;
}

export function rename(b: Bridge, m: Message): Promise<number> {
  return move(b, m, F.fuse_rename_in.SIZEOF, 0);
}

export function rename2(b: Bridge, m: Message): Promise<number> {
  return move(b, m, F.fuse_rename2_in.SIZEOF, m.u32(F.fuse_rename2_in.flags));
}

/** Do both names name the same file? Its attributes are then in `m.stat`. */
async function sameFile(b: Bridge, m: Message, dir: Node, from: Path, todir: Node, to: Path): Promise<boolean> {
  if (!(await there(b, m, dir, from))) return false;
  const { st_ino, st_gen } = m.stat;
  return (await there(b, m, todir, to)) && m.stat.st_ino === st_ino && m.stat.st_gen === st_gen;
}

async function there(b: Bridge, m: Message, dir: Node, name: Path): Promise<boolean> {
  try {
    await b.sys.fstatat(dir.fd, name, m.stat, AT_SYMLINK_NOFOLLOW);
    return true;
  } catch {
    return false;
  }
}

async function isWhiteout(b: Bridge, m: Message, dir: Node, name: Path): Promise<boolean> {
  return (await there(b, m, dir, name)) && (m.stat.st_mode & S_IFMT) === S_IFCHR && m.stat.st_rdev === 0n;
}

async function move(b: Bridge, m: Message, names: number, flags: number): Promise<number> {
  if ((flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT)) !== 0) throw errno(E.EINVAL);
  const exchange = (flags & RENAME_EXCHANGE) !== 0;
  const whiteout = (flags & RENAME_WHITEOUT) !== 0;
  const lo = m.lo(F.fuse_rename2_in.newdir);
  const hi = m.hi(F.fuse_rename2_in.newdir);
  const from = m.name(names);
  const to = m.name(m.behindName(names));
  const dir = await b.node(m);
  const todir = await b.nodes.get(m, lo, hi);
  // Whether the dead server has exchanged the names cannot be told from what is there, and twice would be as if never.
  if (m.halfdone && exchange) throw errno(E.EIO);
  if (m.halfdone && whiteout && (await isWhiteout(b, m, dir, from)) && (await there(b, m, todir, to))) return 0;
  if (m.halfdone && (await sameFile(b, m, dir, from, todir, to))) {
    // It has its new name already. The old one of a directory goes by a rename.
    if (isDirectory(m.stat)) await b.as(m).renameat(dir.fd, from, todir.fd, to);
    else await b.as(m).unlinkat(dir.fd, from, 0);
    if (whiteout) await b.as(m).mknodat(dir.fd, from, S_IFCHR, 0n);
    return 0;
  }
  const victim = (flags & (RENAME_NOREPLACE | RENAME_EXCHANGE)) === 0 ? await b.victim(m, todir.fd, to, m.stat) : null;
  const otherwise = b.traits.folds && ((await b.otherwise(dir.fd, from)) || (await b.otherwise(todir.fd, to)));
  const sys = b.as(m);
  try {
    if (flags === 0) await sys.renameat(dir.fd, from, todir.fd, to);
    else await sys.renameat2(dir.fd, from, todir.fd, to, flags);
  } catch (thrown) {
    if (
      !doneAlready(m, thrown, 'ENOENT', 'EEXIST') ||
      !(await there(b, m, todir, to)) ||
      (await there(b, m, dir, from))
    ) {
      throw thrown;
    }
    return 0;
  }
  if (otherwise) b.channel.epoch();
  if (victim !== null) b.nodes.pin(victim);
  return 0;
}
