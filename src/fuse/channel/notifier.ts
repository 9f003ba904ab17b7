/**
 * Messages to the host that no request asked for. Two kinds: what the host does without waiting is sent at once, from
 * within a request too. To forget a name or content, it may wait for a lock that a request holds which waits for us:
 * that is written with the thread free, and takes effect soon after.
 */
import * as F from '../protocol/fuse_kernel.js';
import { OutBuf, sealNotification } from '../protocol/message.js';
import type { Transport } from './transport.js';

/** fuse_notify_inval_entry_out and the longest name with its NUL. */
const ENTRY_BYTES = F.fuse_notify_inval_entry_out.SIZEOF + 1032;

export class Notifier {
  private readonly attributes = new OutBuf(F.fuse_notify_inval_inode_out.SIZEOF);
  private readonly empty = new OutBuf(0);
  private epochs: boolean | undefined;

  constructor(private readonly transport: Transport) {}

  /** The attributes that the host keeps of a node are no longer right. */
  invalidate(lo: number, hi: number): void {
    this.transport.write(this.attributes, putInode(this.attributes, lo, hi, -1, 0));
  }

  /** The same, and of its content from `offset` on (`length` 0: to the end). */
  invalidateData(lo: number, hi: number, offset: number, length: number): void {
    const out = new OutBuf(F.fuse_notify_inval_inode_out.SIZEOF);
    this.transport.writeLater(out, putInode(out, lo, hi, offset, length));
  }

  /** What `name`, a byte string, means in a directory. */
  invalidateName(lo: number, hi: number, name: string): void {
    const E = F.fuse_notify_inval_entry_out;
    const out = new OutBuf(ENTRY_BYTES);
    out.clear(0, E.SIZEOF + ((name.length + 8) & ~7));
    out.set64words(E.parent, lo, hi);
    out.set32(E.namelen, name.length);
    out.setName(E.SIZEOF, name);
    this.transport.writeLater(out, sealNotification(out, F.FUSE_NOTIFY_INVAL_ENTRY, E.SIZEOF + name.length + 1));
  }

  /**
   * All names are to be looked up again when they are used next. False: this host (before Linux 6.16) does not know
   * how.
   */
  epoch(): boolean {
    if (this.epochs === false) return false;
    try {
      this.transport.write(this.empty, sealNotification(this.empty, F.FUSE_NOTIFY_INC_EPOCH, 0));
      this.epochs = true;
    } catch {
      this.epochs = false;
    }
    return this.epochs;
  }
}

function putInode(out: OutBuf, lo: number, hi: number, offset: number, length: number): number {
  const I = F.fuse_notify_inval_inode_out;
  out.set64words(I.ino, lo, hi);
  out.set64(I.off, offset); // negative: attributes only, no pages
  out.set64(I.len, length);
  return sealNotification(out, F.FUSE_NOTIFY_INVAL_INODE, I.SIZEOF);
}
