import type { Bridge } from './bridge.js';

/** From now on the host is told what others change on the volume: what it remembers of it is wrong then. */
export function passOnChanges(b: Bridge): void {
  const { sys, nodes, channel } = b;
  sys.onchange((change) => {
    if (change.fsid !== nodes.fsid) return;
    if (change.kind === 'mount') return void channel.epoch();
    // A file without a node is one that the host has never heard of.
    if (!nodes.find(change.fid)) return;
    const { lo, hi } = nodes;
    if (change.kind === 'name') channel.invalidateName(lo, hi, change.name);
    else if (change.data !== undefined) channel.invalidateData(lo, hi, change.data.offset, change.data.length);
    else channel.invalidate(lo, hi);
  });
}
