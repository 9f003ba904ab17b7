/** The largest file: the size field has 32 bits. */
export const FILE_MAX = 0xffffffff;
