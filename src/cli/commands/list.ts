import { dropStaleRecords, listMounts } from '../mounts.js';

/** `rumpfuse list`: what is mounted, by whom it is served. */
export function list(json: boolean): void {
  const mounts = listMounts();
  dropStaleRecords(mounts);
  if (json) {
    process.stdout.write(`${JSON.stringify(mounts, null, 2)}\n`);
    return;
  }
  for (const mount of mounts) {
    const access = mount.options.split(',').includes('ro') || mount.details?.readonly ? 'read-only' : 'read-write';
    const served = mount.pid !== undefined ? `pid ${mount.pid}` : mount.details !== undefined ? 'not served any more: rumpfuse umount it' : 'mounted by another user';
    process.stdout.write(`${mount.details?.image ?? mount.source} on ${mount.mountpoint} type ${mount.details?.type ?? 'unknown'} (${access}, ${served})\n`);
  }
}
