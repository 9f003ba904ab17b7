/**
 * Cases that a target is known to fail, with the reason: a property of the format or of the host, never a bug that
 * waits. A declared failure that passes is an error.
 */
/** What files without owners and modes, names that fold, and times from 1980 on make impossible: FAT and exFAT. */
const DOS = {
  'names: upper and lower case differ': 'names that differ in case alone are the same',
  'names: what is not alphanumeric': 'names cannot have all characters',
  'access: of files and directories': 'every file has the mode that the mount gives it',
  'times: of whole seconds, from 1970 to 2037': 'times begin with 1980',
};

export const expected: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'ffs0-le': {
    'fifo: made, seen, removed': '4.2BSD directories do not tell the type of an entry',
    'readdir: every entry once, with its type': '4.2BSD directories do not tell the type of an entry',
  },
  'exfat-4k': DOS,
};
