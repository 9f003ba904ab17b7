import { vimpl } from './vnimpl.js';
import type { Vnode } from './vnode.js';

/**
 * One remembered answer of VOP_LOOKUP: `nc_name` in `nc_dvp` is `nc_vp`, or is not there (null). Where names fold,
 * `nc_name` is the key of the name.
 */
export class Ncentry {
  /** Order of use among all entries. */
  nc_lruprev: Ncentry | null = null;
  nc_lrunext: Ncentry | null = null;
  /** Other names of nc_vp. */
  nc_vprev: Ncentry | null = null;
  nc_vnext: Ncentry | null = null;
  /** How the directory spells the name, where that was asked (VOP_SPELLING). */
  nc_spelling: string | null = null;

  constructor(
    readonly nc_dvp: Vnode,
    readonly nc_name: string,
    /**
     * Changed in place when the name gets another meaning: a Map that loses and gains one key again and again becomes
     * slow.
     */
    public nc_vp: Vnode | null,
  ) {}
}

/** What the children of `dvp` are remembered by. */
function keyof(dvp: Vnode, name: string): string {
  const { foldname } = dvp.v_mount.mnt_traits;
  return foldname === null ? name : foldname(name);
}

/**
 * The name cache: a bounded memory of lookups, found and not found. It holds no references; a vnode that is reclaimed
 * takes its entries along, so an entry never leads to a dead vnode. Entries are made under the lock of the directory
 * and removed under its exclusive lock by whoever changes the directory, hence they are never stale. It obeys the
 * traits of the mount: names that fold share an entry, and of a volume that others change it remembers nothing.
 */
export class Namecache {
  private head: Ncentry | null = null;
  private tail: Ncentry | null = null;
  count = 0;

  /** `limit`: entries. */
  constructor(readonly limit: number) {}

  /** The vnode (no reference taken), null for a name known not to exist, undefined for an unknown one. */
  lookup(dvp: Vnode, name: string): Vnode | null | undefined {
    const entry = vimpl(dvp).nc_children?.get(keyof(dvp, name));
    if (entry === undefined) return undefined;
    if (entry !== this.tail) {
      this.lruRemove(entry);
      this.lruAppend(entry);
    }
    return entry.nc_vp;
  }

  enter(dvp: Vnode, name: string, vp: Vnode | null): void {
    const { mnt_traits: traits } = dvp.v_mount;
    if (traits.shared) return;
    if (vp === null && traits.aliases) return this.remove(dvp, name);
    this.enterKey(dvp, keyof(dvp, name), vp);
  }

  private enterKey(dvp: Vnode, name: string, vp: Vnode | null): void {
    const impl = vimpl(dvp);
    const children = (impl.nc_children ??= new Map());
    const old = children.get(name);
    if (old !== undefined) {
      old.nc_spelling = null;
      if (old.nc_vp === vp) return;
      this.unlinkName(old);
      old.nc_vp = vp;
      this.linkName(old);
      return;
    }
    const entry = new Ncentry(dvp, name, vp);
    children.set(name, entry);
    this.linkName(entry);
    this.lruAppend(entry);
    if (++this.count > this.limit) this.drop(this.head!);
  }

  /** Forgets what is known of `name` in `dvp`. */
  remove(dvp: Vnode, name: string): void {
    const entry = vimpl(dvp).nc_children?.get(keyof(dvp, name));
    if (entry !== undefined) this.drop(entry);
  }

  /** `vp` is not called `name` in `dvp` any more, and nothing else is. */
  gone(dvp: Vnode, name: string, vp: Vnode): void {
    if (dvp.v_mount.mnt_traits.aliases) this.dropNamesIn(dvp, vp);
    this.enter(dvp, name, null);
  }

  /** How the directory spells the name; undefined if nobody has asked it yet. */
  spelling(dvp: Vnode, name: string): string | undefined {
    return vimpl(dvp).nc_children?.get(keyof(dvp, name))?.nc_spelling ?? undefined;
  }

  /** Remembers the spelling of an entry that is remembered. */
  enterspelling(dvp: Vnode, name: string, spelling: string): void {
    const entry = vimpl(dvp).nc_children?.get(keyof(dvp, name));
    if (entry !== undefined) entry.nc_spelling = spelling;
  }

  /** Forgets every name by which `vp` was found in `dvp`. */
  private dropNamesIn(dvp: Vnode, vp: Vnode): void {
    for (let entry = vimpl(vp).nc_names; entry !== null; ) {
      const next = entry.nc_vnext;
      if (entry.nc_dvp === dvp) this.drop(entry);
      entry = next;
    }
  }

  /** Forgets what is known of the entries of a directory. */
  purgeChildren(dvp: Vnode): void {
    const children = vimpl(dvp).nc_children;
    if (children === null) return;
    for (const entry of children.values()) this.drop(entry);
    vimpl(dvp).nc_children = null;
  }

  /** Forgets a vnode altogether: its entries if it is a directory, and all names that lead to it. */
  purge(vp: Vnode): void {
    this.purgeChildren(vp);
    const impl = vimpl(vp);
    while (impl.nc_names !== null) this.drop(impl.nc_names);
  }

  /** A directory and a name that lead to `vp` now, if the cache knows one; ".." is no such name. */
  revlookup(vp: Vnode): Ncentry | undefined {
    for (let entry = vimpl(vp).nc_names; entry !== null; entry = entry.nc_vnext) {
      if (entry.nc_name !== '..') return entry;
    }
    return undefined;
  }

  private drop(entry: Ncentry): void {
    const children = vimpl(entry.nc_dvp).nc_children;
    if (children !== null) {
      children.delete(entry.nc_name);
      if (children.size === 0) vimpl(entry.nc_dvp).nc_children = null;
    }
    this.unlinkName(entry);
    this.lruRemove(entry);
    this.count--;
  }

  /** Enters the entry among the names of its vnode. */
  private linkName(entry: Ncentry): void {
    if (entry.nc_vp === null) return;
    const target = vimpl(entry.nc_vp);
    entry.nc_vprev = null;
    entry.nc_vnext = target.nc_names;
    if (target.nc_names !== null) target.nc_names.nc_vprev = entry;
    target.nc_names = entry;
  }

  private unlinkName(entry: Ncentry): void {
    if (entry.nc_vp === null) return;
    if (entry.nc_vprev !== null) entry.nc_vprev.nc_vnext = entry.nc_vnext;
    else vimpl(entry.nc_vp).nc_names = entry.nc_vnext;
    if (entry.nc_vnext !== null) entry.nc_vnext.nc_vprev = entry.nc_vprev;
  }

  private lruAppend(entry: Ncentry): void {
    entry.nc_lruprev = this.tail;
    entry.nc_lrunext = null;
    if (this.tail !== null) this.tail.nc_lrunext = entry;
    else this.head = entry;
    this.tail = entry;
  }

  private lruRemove(entry: Ncentry): void {
    if (entry.nc_lruprev !== null) entry.nc_lruprev.nc_lrunext = entry.nc_lrunext;
    else this.head = entry.nc_lrunext;
    if (entry.nc_lrunext !== null) entry.nc_lrunext.nc_lruprev = entry.nc_lruprev;
    else this.tail = entry.nc_lruprev;
  }
}
