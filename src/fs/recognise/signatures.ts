/**
 * What is known by bytes at a fixed place. Sources of the facts: the superblock definitions of Linux
 * (include/uapi/linux/magic.h and the fs folders), util-linux libblkid/src/superblocks, the specifications of ECMA-119
 * and ECMA-167, QEMU docs/interop, LVM2 lib/format_text/layout.h.
 */
import type { Look } from './look.js';
import type { Found, RecognisedKind, Recogniser } from './recogniser.js';

/** A place and the bytes that stand there, as a byte string. A negative place counts from the end of the device. */
type Magic = readonly [offset: number, bytes: string];

function bySignature(
  name: string,
  kind: RecognisedKind,
  what: string,
  advice: string,
  places: readonly Magic[],
  size?: (look: Look) => Promise<number | undefined>,
): Recogniser {
  return {
    name, kind, what, advice,
    async probe(look): Promise<Found | boolean> {
      for (const [offset, bytes] of places) {
        if (!(await look.has(offset < 0 ? look.size_bytes + offset : offset, bytes))) continue;
        const size_bytes = await size?.(look);
        return size_bytes === undefined ? true : { size_bytes };
      }
      return false;
    },
  };
}

/** A 64-bit number of the disk, if it is one that a size can be. */
function size64(view: DataView | undefined, offset: number, little: boolean, unit = 1): number | undefined {
  if (view === undefined) return undefined;
  const size = Number(view.getBigUint64(offset, little)) * unit;
  return Number.isSafeInteger(size) && size > 0 ? size : undefined;
}

const READ_ONLY_FS = 'nothing is lost by leaving it alone';
const MOUNT_BY_HOST = 'mount it with the host\'s own driver';
const DISC_SECTOR = 2048;
const DISC_DESCRIPTORS = 16 * DISC_SECTOR;

const fs = (
  name: string,
  what: string,
  places: readonly Magic[],
  size?: (look: Look) => Promise<number | undefined>,
  advice = MOUNT_BY_HOST,
) => bySignature(name, 'filesystem', what, advice, places, size);

const FILE_SYSTEMS: readonly Recogniser[] = [
  fs('xfs', 'an XFS file system', [[0, 'XFSB']], async (look) => {
    const sb = await look.bytes(0, 16);
    return size64(sb, 8, false, sb?.getUint32(4, false));
  }),
  fs('btrfs', 'a Btrfs file system', [[65600, '_BHRfS_M']], async (look) =>
    size64(await look.bytes(65536 + 0x70, 8), 0, true),
  ),
  fs('bcachefs', 'a bcachefs file system', [
    [4096 + 24, '\xc6\x85\x73\xf6\x66\xce\x90\xa9\xd9\x6a\x60\xcf\x80\x3d\xf7\xef'],
  ]),
  fs('f2fs', 'an F2FS file system', [[1024, '\x10\x20\xf5\xf2']]),
  fs('jfs', 'a JFS file system', [[32768, 'JFS1']]),
  fs('reiserfs', 'a ReiserFS file system', [[65536 + 52, 'ReIsEr'], [8192 + 52, 'ReIsEr'], [65536, 'ReIsEr4']]),
  fs('nilfs2', 'a NILFS2 file system', [[1024 + 6, '\x34\x34']], undefined),
  fs('gfs2', 'a GFS2 file system', [[65536, '\x01\x16\x19\x70']]),
  fs('ocfs2', 'an OCFS2 file system', [[1024, 'OCFSV2'], [2048, 'OCFSV2'], [4096, 'OCFSV2'], [8192, 'OCFSV2']]),
  fs('ntfs', 'an NTFS file system', [[3, 'NTFS    ']], async (look) => {
    const boot = await look.bytes(0, 64);
    return size64(boot, 40, true, boot?.getUint16(11, true));
  }),
  fs('refs', 'a ReFS file system', [[3, 'ReFS\0\0\0\0']]),
  fs('exfat', 'an exFAT file system', [[3, 'EXFAT   ']], async (look) => {
    const boot = await look.bytes(0, 128);
    const shift = boot?.getUint8(108) ?? 0;
    return shift > 12 ? undefined : size64(boot, 72, true, 2 ** shift);
  }),
  fs('hpfs', 'an HPFS file system', [[8192, '\x49\xe8\x95\xf9\xc5\xe9\x53\xfa']]),
  fs('hfsplus', 'an HFS+ file system', [[1024, 'H+\0\x04'], [1024, 'HX\0\x05']]),
  fs('hfs', 'an HFS file system', [[1024, 'BD']]),
  fs('apfs', 'an APFS container', [[32, 'NXSB']]),
  fs('befs', 'a BeFS file system', [
    [512 + 32, '1SFB'],
    [512 + 32, 'BFS1'],
    [32, '1SFB'],
    [32, 'BFS1'],
  ]),
  fs(
    'iso9660',
    'an ISO 9660 disc',
    [
      [DISC_DESCRIPTORS + 1, 'CD001'],
      [DISC_DESCRIPTORS + 9, 'CDROM'],
    ],
    async (look) => {
      const descriptor = await look.bytes(DISC_DESCRIPTORS + 80, 4);
      return descriptor === undefined ? undefined : descriptor.getUint32(0, true) * DISC_SECTOR;
    },
    READ_ONLY_FS,
  ),
  fs(
    'udf',
    'a UDF disc',
    [1, 2, 3, 4, 5, 6, 7].flatMap((sector): Magic[] => [
      [DISC_DESCRIPTORS + sector * DISC_SECTOR + 1, 'NSR02'],
      [DISC_DESCRIPTORS + sector * DISC_SECTOR + 1, 'NSR03'],
      [DISC_DESCRIPTORS + sector * 4096 + 1, 'NSR03'],
    ]),
  ),
  fs(
    'squashfs',
    'a SquashFS image',
    [
      [0, 'hsqs'],
      [0, 'sqsh'],
    ],
    undefined,
    READ_ONLY_FS,
  ),
  fs('erofs', 'an EROFS image', [[1024, '\xe2\xe1\xf5\xe0']], undefined, READ_ONLY_FS),
  fs('cramfs', 'a cramfs image', [[0, '\x45\x3d\xcd\x28'], [0, '\x28\xcd\x3d\x45']], undefined, READ_ONLY_FS),
  fs('romfs', 'a romfs image', [[0, '-rom1fs-']], undefined, READ_ONLY_FS),
  fs('ubifs', 'a UBIFS file system', [[0, '\x31\x18\x10\x06']]),
  fs('hammer2', 'a HAMMER2 file system', [[0, '\x11\x20\x17\x05\x32\x4d\x41\x48']]),
  fs('hammer', 'a HAMMER file system', [[0, '\x31\x30\x52\xc5\x4d\x41\x48\xc8']]),
  fs('lfs', 'an LFS file system', [
    [8192, '\x62\x01\x07\x00'],
    [8192, '\x00\x07\x01\x62'],
    [8192, '\x62\x01\x07\x00'],
    [0, '\x62\x01\x07\x00'],
  ]),
  fs('vmfs', 'a VMFS volume', [
    [0x200000, '\x5e\xf1\xab\x2f'],
    [0x100000, '\x0d\xd0\x01\xc0'],
  ]),
];

const MEMBERS: readonly Recogniser[] = [
  bySignature(
    'lvm2',
    'member',
    'a physical volume of LVM',
    'take it out of its volume group with vgreduce and pvremove',
    [0, 1, 2, 3].map((sector): Magic => [sector * 512 + 24, 'LVM2 001']),
  ),
  bySignature('lvm1', 'member', 'a physical volume of LVM 1', 'take it out of its volume group first', [
    [0, 'HM\x01\0'],
    [0, 'HM\x02\0'],
  ]),
  bySignature('bcache', 'member', 'a bcache device', 'detach it first', [
    [4096 + 24, '\xc6\x85\x73\xf6\x4e\x1a\x45\xca\x82\x65\xf5\x7f\x48\xba\x6d\x81'],
  ]),
  bySignature('ddf', 'member', 'a member of a RAID set (DDF)', 'delete the set in its controller, or with mdadm', [
    [-512, '\xde\x11\xde\x11'],
    [-512, '\x11\xde\x11\xde'],
  ]),
  bySignature(
    'isw',
    'member',
    'a member of a RAID set (Intel Matrix)',
    'delete the set in the firmware, or with mdadm',
    [[-1024, 'Intel Raid ISM Cfg Sig. ']],
  ),
  bySignature('drbd', 'member', 'a DRBD device', 'take it out with drbdadm', [
    [-4036, '\x83\x74\x02\x67'],
    [-4036, '\x83\x74\x02\x6b'],
    [-4036, '\x86\x74\x02\x6b'],
  ]),
  bySignature('ceph', 'member', 'a Ceph BlueStore device', 'remove the OSD first', [[0, 'bluestore block device']]),
  bySignature('stratis', 'member', 'a Stratis block device', 'take it out of its pool first', [
    [512 + 4, '!Stra0tis\x86\xff\x02^Arh'],
    [4608 + 4, '!Stra0tis\x86\xff\x02^Arh'],
  ]),
  bySignature('raidframe', 'member', 'a component of a RAIDframe set', 'unconfigure the set first', [
    [16384, 'RAIDframe'],
  ]),
];

const CONTAINERS: readonly Recogniser[] = [
  bySignature('luks', 'container', 'an encrypted volume (LUKS)', 'open it with cryptsetup', [
    [0, 'LUKS\xba\xbe'],
    [0x4000, 'SKUL\xba\xbe'],
    [0x8000, 'SKUL\xba\xbe'],
    [0x10000, 'SKUL\xba\xbe'],
  ]),
  bySignature('bitlocker', 'container', 'an encrypted volume (BitLocker)', 'open it with cryptsetup or dislocker', [
    [3, '-FVE-FS-'],
    [3, 'MSWIN4.1\0\x02\x08\0-FVE'],
  ]),
  bySignature('filevault', 'container', 'an encrypted volume (FileVault)', '', [[88, 'CS']]),
  bySignature('geli', 'container', 'an encrypted volume (GELI)', 'open it with geli', [[-512, 'GEOM::ELI']]),
  bySignature('geom', 'member', 'a provider of GEOM', 'take it out with the geom class that made it', [
    [-512, 'GEOM::'],
  ]),
  bySignature(
    'qcow',
    'container',
    'a disk image of QEMU (qcow2)',
    'rumpfuse takes raw images: convert it with qemu-img',
    [[0, 'QFI\xfb']],
  ),
  bySignature('qed', 'container', 'a disk image of QEMU (QED)', 'rumpfuse takes raw images: convert it with qemu-img', [
    [0, 'QED\0'],
  ]),
  bySignature('vmdk', 'container', 'a disk image of VMware', 'rumpfuse takes raw images: convert it with qemu-img', [
    [0, 'KDMV'],
    [0, 'COWD'],
    [0, '# Disk DescriptorFile'],
  ]),
  bySignature('vdi', 'container', 'a disk image of VirtualBox', 'rumpfuse takes raw images: convert it with qemu-img', [
    [64, '\x7f\x10\xda\xbe'],
  ]),
  bySignature(
    'vhdx',
    'container',
    'a disk image of Hyper-V (VHDX)',
    'rumpfuse takes raw images: convert it with qemu-img',
    [[0, 'vhdxfile']],
  ),
  bySignature(
    'vhd',
    'container',
    'a disk image of Hyper-V (VHD)',
    'rumpfuse takes raw images: convert it with qemu-img',
    [
      [0, 'conectix'],
      [-512, 'conectix'],
    ],
  ),
  bySignature('dmg', 'container', 'a disk image of macOS (UDIF)', 'convert it with dmg2img', [[-512, 'koly']]),
  bySignature(
    'rumpfuse-overlay',
    'container',
    'the changes of a disk (an overlay file of rumpfuse)',
    'mount the disk that it belongs to with -o overlay=',
    [[0, 'RUMPOVL1']],
  ),
];

/** In the order in which they are named. */
export const SIGNATURES: readonly Recogniser[] = [...CONTAINERS, ...MEMBERS, ...FILE_SYSTEMS];
