/** The layering of docs/MAP.md, held by `npm run lint`. */
module.exports = {
  forbidden: [
    { name: 'no-circular', severity: 'error', comment: 'A cycle that vanishes at run time (types only) is allowed.', from: {}, to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } } },
    { name: 'no-circle-even-of-types', severity: 'error', comment: 'In FFS and in what drivers share no file can be reached from itself, not even by types.', from: { path: '^src/fs/(ffs|lib)/' }, to: { circular: true } },
    { name: 'driver-only-kernel-and-lib', severity: 'error', comment: 'A driver knows the kernel, what drivers share, what a format is, and itself.', from: { path: '^src/fs/([^/]+)/', pathNot: '^src/fs/(lib|ufs|ffs|lfs)/' }, to: { pathNot: ['^src/kernel/', '^src/fs/lib/', '^src/fs/format\\.ts$', '^src/fs/$1/'] } },
    { name: 'ufs-family-over-ufs', severity: 'error', comment: 'FFS and LFS share ufs besides.', from: { path: '^src/fs/(ffs|lfs)/' }, to: { pathNot: ['^src/kernel/', '^src/fs/lib/', '^src/fs/ufs/', '^src/fs/format\\.ts$', '^src/fs/$1/'] } },
    { name: 'ufs-only-kernel-and-lib', severity: 'error', comment: 'The base of the UFS family knows none of its file systems, not even by type.', from: { path: '^src/fs/ufs/' }, to: { pathNot: ['^src/kernel/', '^src/fs/lib/', '^src/fs/ufs/'] } },
    { name: 'lib-only-kernel', severity: 'error', comment: 'What drivers share knows no driver. pako is pure: no host, no native code.', from: { path: '^src/fs/lib/' }, to: { pathNot: ['^src/kernel/', '^src/fs/lib/', '(^|/)node_modules/pako/'] } },
    { name: 'blockdev-only-kernel', severity: 'error', from: { path: '^src/blockdev/' }, to: { pathNot: ['^src/kernel/', '^src/blockdev/'] } },
    { name: 'kernel-stands-alone', severity: 'error', comment: 'Hosts behind src/kernel/rumpuser may use node: and koffi; nothing else may.', from: { path: '^src/kernel/', pathNot: '^src/kernel/rumpuser/node' }, to: { pathNot: '^src/kernel/' } },
    { name: 'fuse-by-system-calls', severity: 'error', comment: 'The bridge sees system calls and their plain types, never drivers or the VFS.', from: { path: '^src/fuse/' }, to: { path: '^src/(fs|blockdev|cli|kernel/vfs)/' } },
    { name: 'cli-by-system-calls', severity: 'error', comment: 'The command line assembles components; it never reaches into the VFS layer.', from: { path: '^src/cli/' }, to: { path: '^src/kernel/vfs/' } },
    { name: 'nothing-imports-cli', severity: 'error', from: { pathNot: '^src/cli/' }, to: { path: '^src/cli/' } },
  ],
  options: {
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    doNotFollow: { path: 'node_modules' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'types'] },
  },
};
