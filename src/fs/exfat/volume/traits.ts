import type { MountTraits } from '../../../kernel/vfs/traits.js';
import { UNIX_TRAITS } from '../../../kernel/vfs/traits.js';
import { utf16Length } from '../../lib/names/utf16.js';
import type { NameRules } from '../dir/name.js';
import { NAME_UNITS_MAX } from '../disk/entry.js';

/** What is particular to the files of an exFAT volume. */
export function exfat_traits(names: NameRules): MountTraits {
  return {
    ...UNIX_TRAITS,
    foldname: (name) => names.fold(name),
    unicode: true,
    namemax: NAME_UNITS_MAX,
    namelength: utf16Length,
    hardlinks: false,
    symlinks: false,
    specials: false,
    wideids: true,
  };
}
