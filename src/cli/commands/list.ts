import { dropStaleRecords, inShort, listMounts, type EndedMount } from '../mounts.js';
import { complain, say, sayJson } from '../say.js';

/** What an ended mount said: nobody else will ever tell. */
export function tellEnded({ record, said }: EndedMount): void {
  complain(`rumpfuse: ${record.image} was mounted on ${record.mountpoint} and is not any more; it said:`);
  for (const line of inShort(said)) complain(`  ${line}`);
}

/** `rumpfuse list`: what is mounted, by whom it is served. */
export function list(json: boolean): void {
  const mounts = listMounts();
  for (const ended of dropStaleRecords(mounts)) tellEnded(ended);
  if (json) {
    sayJson(mounts);
    return;
  }
  for (const mount of mounts) {
    const access = mount.options.split(',').includes('ro') || mount.details?.readonly ? 'read-only' : 'read-write';
    const served =
      mount.pid !== undefined
        ? `pid ${mount.pid}`
        : mount.details !== undefined
          ? 'not served any more: rumpfuse umount it'
          : 'mounted by another user';
    say(
      `${mount.details?.image ?? mount.source} on ${mount.mountpoint} type ${mount.details?.type ?? 'unknown'} ` +
        `(${access}, ${served})`,
    );
  }
}
