/** What a stand-by does while nobody needs it: takes over a small volume in memory, so that it has done it before. */
import { MemoryDevice } from '../blockdev/memory.js';
import { rehearseServing } from '../fuse/succession/rehearsal.js';
import { KEEP_BYTES_MIN, Keep } from '../kernel/keep/keep.js';
import { RumpKernel, type Component } from '../kernel/rump.js';
import type { Rumpuser } from '../kernel/rumpuser/rumpuser.js';
import { defaultsOf } from './tool-options.js';
import type { Loaded } from './volume-format.js';

const VOLUME_BYTES = 4 << 20;
const AT = '/volume';

/** `goOn`: is there still time? Asked between the scenes. Nothing that goes wrong here matters. */
export async function rehearse(
  ru: Rumpuser,
  loaded: readonly Loaded[],
  components: readonly Component[],
  goOn: () => Promise<boolean>,
): Promise<void> {
  const [first] = loaded;
  if (first?.make === undefined) return;
  const { format, make } = first;
  const silent: Rumpuser = Object.assign(Object.create(ru) as Rumpuser, { rumpuser_dprintf: () => {} });
  const disk = new MemoryDevice({ size_bytes: VOLUME_BYTES });
  const memory = new Uint8Array(KEEP_BYTES_MIN);
  const kernels: RumpKernel[] = [];
  const mounted = async () => {
    const rump = await RumpKernel.boot({ rumpuser: silent, components, keep: new Keep(memory) });
    kernels.push(rump);
    await rump.sys.mkdir(AT, 0o755);
    await rump.sys.mount(format.name, AT, 0, { fspec: disk, options: new Map() });
    return rump.sys;
  };
  try {
    if (!(await goOn())) return;
    await make(disk, defaultsOf(format.tools.make!.options), { uid: 0, gid: 0 });
    if (!(await goOn())) return;
    const before = await mounted();
    if (!(await goOn())) return;
    await rehearseServing(before, AT);
    await before.mkdir(`${AT}/left`, 0o755);
    kernels[0]!.keep!.commit();
    if (!(await goOn())) return;
    const after = await mounted();
    if (!(await goOn())) return;
    await rehearseServing(after, AT);
  } finally {
    for (const rump of kernels.reverse()) await rump.halt().catch(() => {});
  }
}
