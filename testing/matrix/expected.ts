/**
 * Cases that a target is known to fail, with the reason: a property of the format or of the host, never a bug that
 * waits. A declared failure that passes is an error.
 */
export const expected: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'ffs0-le': {
    'fifo: made, seen, removed': '4.2BSD directories do not tell the type of an entry',
    'readdir: every entry once, with its type': '4.2BSD directories do not tell the type of an entry',
  },
};
