import type { MaybePromise } from '../../../kernel/rumpuser/rumpuser.js';
import {
  BENIGN, LABEL_UNITS_MAX, SECONDARY, S_DATA_LENGTH, S_FIRST_CLUSTER, T_BITMAP, T_FILE, T_LABEL, T_UPCASE, U_CHECKSUM,
  get_length,
} from '../disk/entry.js';
import type { Directory } from '../dir/directory.js';
import { dir_walk } from '../dir/scan.js';

/** Content that an entry of the root leads to. */
export interface RootStream {
  readonly first: number;
  readonly bytes: number;
}

/** What the root directory says of the volume. */
export interface RootScan {
  /** By BitmapFlags: first and second bitmap. */
  readonly bitmaps: (RootStream | undefined)[];
  upcase: (RootStream & { readonly checksum: number }) | undefined;
  label: string;
  /** Type of a critical entry that is not known. */
  unknown: number | undefined;
}

/** Looks for the entries that only the root has. @throws EIO */
export function root_scan(root: Directory): MaybePromise<RootScan> {
  const scan: RootScan = { bitmaps: [undefined, undefined], upcase: undefined, label: '', unknown: undefined };
  const done = dir_walk(root, 0, {
    file: () => true,
    other(type, _offset, { b_data: data, b_view: view }, into) {
      const first = view.getUint32(into + S_FIRST_CLUSTER, true);
      const stream = { first, bytes: get_length(view, into + S_DATA_LENGTH) };
      if (type === T_BITMAP) scan.bitmaps[data[into + 1] & 1] ??= stream;
      else if (type === T_UPCASE) scan.upcase ??= { ...stream, checksum: view.getUint32(into + U_CHECKSUM, true) };
      else if (type === T_LABEL) scan.label = label(view, into, data[into + 1]);
      else if (type !== T_FILE && (type & (SECONDARY | BENIGN)) === 0) scan.unknown ??= type;
      return true;
    },
  });
  return done instanceof Promise ? done.then(() => scan) : scan;
}

function label(view: DataView, into: number, units: number): string {
  let text = '';
  for (let i = 0; i < Math.min(units, LABEL_UNITS_MAX); i++) {
    text += String.fromCharCode(view.getUint16(into + 2 + 2 * i, true));
  }
  return text;
}
