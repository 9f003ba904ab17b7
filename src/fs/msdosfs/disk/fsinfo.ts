/**
 * The FSInfo sector of FAT32: hints, which may be wrong. Source: Microsoft FAT specification 1.03, "FAT32 FSInfo Sector
 * Structure".
 */
const LEAD = 0x41615252;
const STRUCT = 0x61417272;
const TRAIL = 0xaa550000;
export const FSINFO_UNKNOWN = 0xffffffff;
export const FSINFO_BYTES = 512;

export interface FsInfo {
  /** {@link FSINFO_UNKNOWN}: not known. */
  free: number;
  next: number;
}

/** null: no FSInfo sector. */
export function decodeFsInfo(view: DataView): FsInfo | null {
  if (
    view.getUint32(0, true) !== LEAD ||
    view.getUint32(484, true) !== STRUCT ||
    view.getUint16(510, true) !== TRAIL >>> 16
  ) {
    return null;
  }
  return { free: view.getUint32(488, true), next: view.getUint32(492, true) };
}

/** Fills a sector whose other bytes stay as they are. */
export function encodeFsInfo(view: DataView, info: FsInfo): void {
  view.setUint32(0, LEAD, true);
  view.setUint32(484, STRUCT, true);
  view.setUint32(488, info.free, true);
  view.setUint32(492, info.next, true);
  view.setUint32(508, TRAIL, true);
}
