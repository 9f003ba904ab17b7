/** Systems whose volumes are told apart (dialect.ts): what `-o dialect=` takes. */
export const FFS_DIALECTS = ['netbsd', 'freebsd', 'openbsd', '4.2bsd', 'apple', 'next', 'solaris'] as const;

/** Who wrote the volume last, as far as evidence goes. */
export type FfsDialect = (typeof FFS_DIALECTS)[number] | 'unknown';
