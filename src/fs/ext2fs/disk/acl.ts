/**
 * POSIX ACLs: on the disk an entry has an id only if it names a user or a group (Linux fs/ext4/acl.h); the attribute
 * system.posix_acl_* has one in each (include/uapi/linux/posix_acl_xattr.h).
 */
const DISK_VERSION = 1;
const XATTR_VERSION = 2;
const TAG_USER = 2;
const TAG_GROUP = 8;
const TAGS = new Set([1, TAG_USER, 4, TAG_GROUP, 0x10, 0x20]);
const UNDEFINED_ID = 0xffffffff;

/** The attribute's value; undefined: what is on the disk is no ACL. */
export function acl_from_disk(disk: Uint8Array): Uint8Array | undefined {
  const view = new DataView(disk.buffer, disk.byteOffset, disk.byteLength);
  if (disk.length < 4 || view.getUint32(0, true) !== DISK_VERSION) return undefined;
  const out = new DataView(new ArrayBuffer(4 + 2 * disk.length));
  out.setUint32(0, XATTR_VERSION, true);
  let to = 4;
  for (let at = 4; at < disk.length;) {
    if (at + 4 > disk.length) return undefined;
    const tag = view.getUint16(at, true);
    const named = tag === TAG_USER || tag === TAG_GROUP;
    if (!TAGS.has(tag) || (named && at + 8 > disk.length)) return undefined;
    out.setUint16(to, tag, true);
    out.setUint16(to + 2, view.getUint16(at + 2, true), true);
    out.setUint32(to + 4, named ? view.getUint32(at + 4, true) : UNDEFINED_ID, true);
    to += 8;
    at += named ? 8 : 4;
  }
  return new Uint8Array(out.buffer, 0, to);
}
