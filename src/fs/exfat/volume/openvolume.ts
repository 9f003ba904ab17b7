import type { BlockDevice } from '../../../kernel/blkdev.js';
import { E, Errno, errno } from '../../../kernel/errno.js';
import type { Mount } from '../../../kernel/vfs/mount.js';
import { Directory } from '../dir/directory.js';
import { NameRules } from '../dir/name.js';
import type { Boot } from '../disk/boot.js';
import {
  BOOT_REGION_SECTORS, MEDIA_FAILURE, VOLUME_DIRTY, boot_decode, boot_recognised, boot_sealed,
} from '../disk/boot.js';
import { table_checksum } from '../disk/entry.js';
import { UPCASE_BYTES_MAX, upcase_decode, upcase_default } from '../disk/upcase.js';
import { Bitmap } from '../space/bitmap.js';
import { Chain } from '../space/chain.js';
import { CHAIN_END } from '../space/fat.js';
import { ExfatMount } from './exfatmount.js';
import type { ExfatOptions } from './options.js';
import type { RootScan } from './rootscan.js';
import { root_scan } from './rootscan.js';
import { ROOT_NUMBER, Whereabouts } from './whereabouts.js';

/** A volume that can be read. */
export interface OpenVolume {
  readonly em: ExfatMount;
  /** Why it must not be written, the worst reason; undefined: it may be. */
  readonly forbidden: string | undefined;
  /** It was not unmounted, or the medium has failed. */
  readonly dirty: boolean;
}

/** The boot region, and what is wrong with it. */
interface BootFound {
  readonly boot: Boot;
  readonly problem: string | undefined;
}

/** Sizes of sectors, which only the boot sector could tell. */
const SECTOR_SHIFTS = [9, 10, 11, 12];

/** Reads the main boot region, or the backup if that makes no sense. @throws EFTYPE EIO */
export async function find_boot(dev: BlockDevice): Promise<BootFound> {
  const sector = new Uint8Array(512);
  if (dev.size_bytes < sector.length) throw errno(E.EFTYPE, `${dev.name}: no room for a boot sector`);
  await dev.read(sector, 0, sector.length, 0);
  let why: unknown;
  try {
    const boot = boot_decode(sector);
    return { boot, problem: (await sealed(dev, boot, 0)) ? undefined : 'the checksum of the boot region is wrong' };
  } catch (thrown) {
    why = thrown;
  }
  // Another format's boot sector is another format's volume.
  if (!boot_recognised(sector) && sector.some((byte) => byte !== 0)) throw why;
  for (const shift of SECTOR_SHIFTS) {
    const at = BOOT_REGION_SECTORS << shift;
    if (dev.size_bytes < 2 * at) break;
    await dev.read(sector, 0, sector.length, at);
    try {
      const boot = boot_decode(sector);
      if (boot.BytesPerSectorShift === shift && (await sealed(dev, boot, BOOT_REGION_SECTORS))) {
        const reason = why instanceof Errno ? why.message : String(why);
        return { boot, problem: `the boot sector is damaged (${reason}), its backup is used` };
      }
    } catch (thrown) {
      if (!(thrown instanceof Errno) || thrown.errno !== E.EFTYPE) throw thrown;
    }
  }
  throw why;
}

async function sealed(dev: BlockDevice, boot: Boot, sector: number): Promise<boolean> {
  const bytes = 2 ** boot.BytesPerSectorShift;
  const region = new Uint8Array(BOOT_REGION_SECTORS * bytes);
  if (dev.size_bytes < (sector + BOOT_REGION_SECTORS) * bytes) return false;
  await dev.read(region, 0, region.length, sector * bytes);
  return boot_sealed(region, bytes);
}

/** Reads what must be known of a volume before a file of it can be. @throws EFTYPE EIO */
export async function open_volume(mp: Mount, dev: BlockDevice, options: ExfatOptions): Promise<OpenVolume> {
  const { boot, problem } = await find_boot(dev);
  const em = new ExfatMount(mp, dev, boot, options);
  const problems: string[] = [];
  if (problem !== undefined) problems.push(problem);
  if (boot.VolumeLength * em.em_secbytes > dev.size_bytes) {
    problems.push(`the volume has ${boot.VolumeLength * em.em_secbytes} bytes, the device only ${dev.size_bytes}`);
  }
  const { chain, broken } = await root_chain(em);
  if (broken !== undefined) problems.push(broken);
  em.em_where = new Whereabouts(em, new Directory(em, ROOT_NUMBER, ROOT_NUMBER, chain, chain.count * em.em_clbytes));
  const scan = await root_scan(em.em_where.root);
  if (scan.unknown !== undefined) {
    problems.push(`the root directory has a critical entry of unknown type 0x${scan.unknown.toString(16)}`);
  }
  problems.push(...(await open_bitmap(em, scan)));
  const upcase = await open_upcase(em, scan);
  if (upcase.problem !== undefined) problems.push(upcase.problem);
  if (problems.length === 0 && !(await system_used(em))) {
    problems.push('the bitmap calls clusters free that the volume itself needs');
  }
  em.em_names = new NameRules(upcase.table, options.keep_last_dots);
  return { em, forbidden: problems[0], dirty: (boot.VolumeFlags & (VOLUME_DIRTY | MEDIA_FAILURE)) !== 0 };
}

/** The clusters of a chain are the volume's own from now on. @throws EIO it cannot be followed */
async function claim_system(em: ExfatMount, chain: Chain, count: number): Promise<void> {
  chain.system = true;
  for (let at = 0; at < count; ) {
    const run = await chain.run(em, at, count - at);
    for (let i = 0; i < run.count; i++) em.em_system.add(run.cluster + i);
    at += run.count;
  }
}

/** The chain of the root directory, as long as it can be followed. */
async function root_chain(em: ExfatMount): Promise<{ chain: Chain; broken: string | undefined }> {
  const first = em.em_boot.FirstClusterOfRootDirectory;
  const seen = new Set([first]);
  let last = first;
  let broken: string | undefined;
  for (;;) {
    const next = await em.em_fat.get(last);
    if (next === CHAIN_END) break;
    if (!em.iscluster(next)) broken = `the chain of the root directory leads from cluster ${last} to ${next}`;
    else if (seen.has(next)) broken = `the chain of the root directory leads from cluster ${last} back to ${next}`;
    else if (seen.size >= em.em_dirclusters) broken = 'the chain of the root directory has no end';
    if (broken !== undefined) break;
    seen.add(next);
    last = next;
  }
  const count = seen.size;
  const chain = new Chain(first, count, false);
  await claim_system(em, chain, count);
  return { chain, broken };
}

/** Does the bitmap know that they are in use? */
async function system_used(em: ExfatMount): Promise<boolean> {
  const clusters = [...em.em_system].sort((a, b) => a - b);
  for (let i = 0; i < clusters.length; ) {
    let n = 1;
    while (clusters[i + n] === clusters[i] + n) n++;
    if ((await em.em_bitmap.row(clusters[i], n, true)) < n) return false;
    i += n;
  }
  return true;
}

/** A chain that an entry of the root leads to; undefined: it leads nowhere. */
async function stream_chain(em: ExfatMount, first: number, bytes: number): Promise<Chain | undefined> {
  const count = em.clustersof(bytes);
  if (!em.iscluster(first) || !(count > 0 && count <= em.em_boot.ClusterCount)) return undefined;
  const chain = new Chain(first, count, false);
  try {
    await claim_system(em, chain, count);
    return chain;
  } catch (thrown) {
    if (thrown instanceof Errno) return undefined;
    throw thrown;
  }
}

/** @returns what is wrong */
async function open_bitmap(em: ExfatMount, scan: RootScan): Promise<string[]> {
  const stream = scan.bitmaps[em.em_active];
  if (stream === undefined) return ['there is no allocation bitmap'];
  const chain = await stream_chain(em, stream.first, stream.bytes);
  if (chain === undefined || stream.bytes < em.em_boot.ClusterCount / 8) {
    return [`the allocation bitmap (cluster ${stream.first}, ${stream.bytes} bytes) cannot be`];
  }
  em.em_bitmap = new Bitmap(em, chain);
  return [];
}

async function open_upcase(
  em: ExfatMount, scan: RootScan,
): Promise<{ table: Uint16Array; problem: string | undefined }> {
  const bad = (problem: string): { table: Uint16Array; problem: string } => {
    return { table: upcase_default(), problem: `the up-case table ${problem}; names are compared by the usual one` };
  };
  const { upcase } = scan;
  if (upcase === undefined) return bad('is missing');
  if (!(upcase.bytes > 0 && upcase.bytes <= UPCASE_BYTES_MAX)) return bad(`has ${upcase.bytes} bytes`);
  const chain = await stream_chain(em, upcase.first, upcase.bytes);
  if (chain === undefined) return bad(`at cluster ${upcase.first} cannot be reached`);
  const bytes = new Uint8Array(upcase.bytes);
  for (let done = 0; done < bytes.length; ) {
    const run = await chain.run(em, done / em.em_clbytes, chain.count);
    const n = Math.min(bytes.length - done, run.count * em.em_clbytes);
    await em.em_dev.read(bytes, done, n, em.clusterat(run.cluster));
    done += n;
  }
  if (table_checksum(bytes) !== upcase.checksum) return bad('has a wrong checksum');
  try {
    return { table: upcase_decode(bytes), problem: undefined };
  } catch (thrown) {
    if (thrown instanceof Errno) return bad(`makes no sense (${thrown.message})`);
    throw thrown;
  }
}
