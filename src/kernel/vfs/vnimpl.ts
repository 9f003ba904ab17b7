import type { Lockf } from './lockf.js';
import type { Ncentry } from './namecache.js';
import { dead_vnodeops } from './deadfs.js';
import type { Mount } from './mount.js';
import { VBAD } from './vattr.js';
import { VS_RECLAIMED, Vnode } from './vnode.js';

/** The VFS layer's own part of a vnode; hangs on v_private. */
export class VnodeImpl {
  /** Next in the mount's table of vnodes. */
  hash_next: Vnode | null = null;
  /** LRU list of unreferenced vnodes; both null while the vnode is not on it. */
  lru_prev: Vnode | null = null;
  lru_next: Vnode | null = null;
  /**
   * Set while the driver's loadvnode, VOP_INACTIVE or VOP_RECLAIM runs asynchronously: nobody may take a reference
   * meanwhile. Never rejects; the value is the error of a loadvnode that failed.
   */
  transition: Promise<unknown> | null = null;
  /** Of a directory: what the name cache knows of its entries. */
  nc_children: Map<string, Ncentry> | null = null;
  /** Entries of the name cache that lead to this vnode, linked by nc_vnext. */
  nc_names: Ncentry | null = null;
  /** Advisory locks; null while there never was one. */
  lockf: Lockf | null = null;
  /** Descriptors that may write. */
  writecount = 0;
}

export function vimpl(vp: Vnode): VnodeImpl {
  return vp.v_private as VnodeImpl;
}

/** A vnode that never was alive: the directories of a process that has ended. */
export class DeadVnode extends Vnode {
  constructor(mp: Mount) {
    super(mp, -1);
    this.v_private = new VnodeImpl();
    this.v_state = VS_RECLAIMED;
    this.v_type = VBAD;
    this.v_op = dead_vnodeops;
  }
}
