import { readFileSync } from 'node:fs';
import type { RumpSys } from '../../kernel/sys/rumpsys.js';
import type { Message } from '../protocol/message.js';

/** Credentials kept, for hosts with many users. */
const CREDS_MAX = 1024;
/** How long the groups of a process are believed, milliseconds. */
const GROUPS_MS = 1000;

/** Supplementary groups of a process of this host; none if it cannot be asked (gone, or in another pid namespace). */
function groupsOf(pid: number): number[] {
  if (pid === 0) return [];
  try {
    const line = /^Groups:\t?(.*)$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'));
    return line === null ? [] : line[1]!.split(' ').filter((gid) => gid !== '').map(Number);
  } catch {
    return [];
  }
}

/**
 * The system calls under the caller's credential. A request carries uid and gid only. With default_permissions the host
 * has checked with the full group list; without, the groups are asked of /proc.
 */
export class Credentials {
  private uid = -1;
  private gid = -1;
  private sys: RumpSys;
  private readonly byIds = new Map<string, RumpSys>();
  private readonly byPid = new Map<number, { uid: number; gid: number; until: number; sys: RumpSys }>();

  constructor(private readonly base: RumpSys, private readonly hostchecked: boolean) {
    this.sys = base;
  }

  of(m: Message): RumpSys {
    if (!this.hostchecked) return this.ofProcess(m);
    if (m.uid !== this.uid || m.gid !== this.gid) {
      this.uid = m.uid;
      this.gid = m.gid;
      this.sys = this.ofIds(m.uid, m.gid);
    }
    return this.sys;
  }

  private ofIds(uid: number, gid: number): RumpSys {
    const key = `${uid}.${gid}`;
    let sys = this.byIds.get(key);
    if (sys === undefined) {
      if (this.byIds.size >= CREDS_MAX) this.byIds.clear();
      this.byIds.set(key, (sys = this.base.withCred(uid, gid, [], true)));
    }
    return sys;
  }

  private ofProcess(m: Message): RumpSys {
    const now = performance.now();
    const known = this.byPid.get(m.pid);
    if (known !== undefined && known.uid === m.uid && known.gid === m.gid && known.until > now) return known.sys;
    if (this.byPid.size >= CREDS_MAX) this.byPid.clear();
    const sys = this.base.withCred(m.uid, m.gid, groupsOf(m.pid), false);
    this.byPid.set(m.pid, { uid: m.uid, gid: m.gid, until: now + GROUPS_MS, sys });
    return sys;
  }
}
