/**
 * rumpfuse as a library: boot a rump kernel in your process, mount volumes in it, use it by system calls. No FUSE, no
 * privileges, no native code on this way. See README.md, "As a library".
 */
export { RumpKernel, type BootOptions, type Component } from './kernel/rump.js';
export { nodeRumpuser, type NodeRumpuserOptions } from './kernel/rumpuser/node.js';
export { memoryRumpuser } from './kernel/rumpuser/memory.js';
export { RUMPUSER_VERSION, type Rumpuser } from './kernel/rumpuser/rumpuser.js';
export type { Flock, Path, RumpSys, Timestamp } from './kernel/sys/rumpsys.js';
export { E, Errno, errnoName } from './kernel/errno.js';
export * from './kernel/fcntl.js';
export * from './kernel/stat.js';
export { bytestrFromPath, bytestrToBytes, bytestrToUnicode } from './kernel/bytestr.js';

export type { BlockDevice } from './kernel/blkdev.js';
export { createImage, imageFromFd, openImage, type ImageDevice, type OpenImageOptions } from './blockdev/image.js';
export { MemoryDevice } from './blockdev/memory.js';
export { openOverlay } from './blockdev/overlay.js';
export { partitionDevice, scan, selectPartition } from './blockdev/label/scan.js';
export type { Partition } from './blockdev/label/partition-table.js';

export { ffs } from './fs/ffs/index.js';
export { fsck, newfs, tunefs, type Force } from './care/index.js';
export type { NewfsResult, NewfsVolumeOptions } from './fs/ffs/tools/newfs.js';
export { describe, type Description, type FfsFacts } from './fs/ffs/tools/describe.js';
export { recognise, type Recognised } from './fs/recognise/index.js';
export { tmpfs } from './fs/tmpfs/index.js';

export { detect, type Detected } from './fs/detect.js';
export { identify } from './fs/identify.js';
export type * from './fs/format.js';
export { FORMATS, formatNamed, type Registered } from './fs/registry.js';
