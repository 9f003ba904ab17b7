/**
 * What else claims the place of a volume on its disk: partitions that overlap, and file systems that began before it.
 */
import type { BlockDevice } from '../kernel/blkdev.js';
import { humanSize, scan } from '../blockdev/label/scan.js';
import type { Partition } from '../blockdev/label/partition-table.js';
import { PartitionDevice } from '../blockdev/partition.js';
import { identify } from '../fs/identify.js';

/** A stretch of a disk, bytes. */
export interface Place {
  readonly disk: BlockDevice;
  readonly start: number;
  readonly end: number;
}

interface Stretch {
  readonly name: string;
  readonly start: number;
  readonly end: number;
}

/** More than this many are not looked into for what began there; a table of a hostile disk may have thousands. */
const ENCLOSERS_MAX = 64;

/**
 * The disk's partitions, as far as they lie on it: one of a truncated image claims what is there. Damaged tables say
 * nothing.
 */
async function partitionsOf(disk: BlockDevice): Promise<Partition[]> {
  const { partitions } = await scan(disk).catch(() => ({ partitions: [] }));
  return partitions.filter((p) => p.size_bytes > 0 && p.offset_bytes < disk.size_bytes);
}

function stretch(p: Partition, disk: BlockDevice): Stretch {
  const { path, offset_bytes, size_bytes, type_name } = p;
  return {
    name: `partition ${path} (${type_name}, ${humanSize(size_bytes)})`,
    start: offset_bytes,
    end: Math.min(disk.size_bytes, offset_bytes + size_bytes),
  };
}

/** A volume that begins with `outer` and reaches into the place, in words. */
async function reachesIn(place: Place, outer: Stretch, all: readonly Stretch[]): Promise<string | undefined> {
  const whole = outer.start === 0 && outer.end === place.disk.size_bytes;
  const device = whole ? place.disk : new PartitionDevice(place.disk, outer.start, outer.end - outer.start, outer.name);
  // What begins here may be a smaller partition's that begins here, too, and ends before the place.
  const others = all.some((other) => other.start === outer.start && other.end <= place.start);
  for (const { kind, what, size_bytes } of await identify(device)) {
    if (kind === 'table') continue;
    const reaches = size_bytes === undefined ? !others : outer.start + size_bytes > place.start;
    if (reaches) {
      return `lies inside ${what}${size_bytes === undefined ? '' : ` of ${humanSize(size_bytes)}`} that begins with ` +
        `${outer.name}`;
    }
  }
  return undefined;
}

/** Is the place one that a partition table names? */
export async function isNamed({ disk, start, end }: Place): Promise<boolean> {
  return (await partitionsOf(disk)).some((p) => p.offset_bytes === start && p.offset_bytes + p.size_bytes === end);
}

/**
 * What speaks against writing to all of this place, in words that go on after its name ("overlaps partition e (...)").
 * That a partition lies inside another one, or inside the disk, is as it should be as long as nothing that began there
 * reaches it. `volume`: a volume is there already, of this place; partitions that begin with it are its own.
 * @throws EIO
 */
export async function claimsOnPlace(place: Place, volume = false): Promise<string | undefined> {
  const { disk, start, end } = place;
  const all = (await partitionsOf(disk)).map((p) => stretch(p, disk));
  const inside = all.filter(
    (p) => p.start >= start && p.end <= end && !(p.start === start && (p.end === end || volume)),
  );
  if (inside.length > 0) return `has inside it ${inside.map((p) => p.name).join(', ')}`;
  const across = all.filter(
    (p) => p.start < end && p.end > start && !(p.start <= start && p.end >= end) && !(volume && p.start === start),
  );
  if (across.length > 0) return `overlaps ${across.map((p) => p.name).join(', ')}`;
  const enclosing = all.filter((p) => p.start < start && p.end >= end);
  if (start > 0) {
    enclosing.push({ name: `the whole disk (${humanSize(disk.size_bytes)})`, start: 0, end: disk.size_bytes });
  }
  const distinct = enclosing.filter((p, i) => enclosing.findIndex((q) => q.start === p.start && q.end === p.end) === i);
  for (const outer of distinct.slice(0, ENCLOSERS_MAX)) {
    const reached = await reachesIn(place, outer, all);
    if (reached !== undefined) return reached;
  }
  return undefined;
}
