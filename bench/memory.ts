import { rmSync } from 'node:fs';
import { type Memory, memoryOf, serverProcesses } from './processes.js';
import type { Session } from './session.js';

/** Bytes of the sparse volume whose server is weighed. */
export const HUGE_BYTES = 2 ** 40;
/** What all processes of the mount may hold together. Bytes. */
export const MEMORY_LIMIT = 150e6;

/**
 * Mounts a large sparse volume, works in it, and says what the server processes hold then. undefined: the system has no
 * images.
 */
export async function weigh(session: Session): Promise<Memory | undefined> {
  if (session.images === undefined) return undefined;
  const image = session.images.huge(HUGE_BYTES);
  try {
    return await session.mounted(image, 'work', async (root) => {
      const { large, small } = session.sizes;
      await session.run('write', `${root}/zero`, large / 2);
      await session.run('read', `${root}/zero`, large / 2);
      await session.run('create', root, small);
      await session.run('find', root);
      return memoryOf(serverProcesses(session.directory));
    });
  } finally {
    rmSync(image, { force: true });
  }
}
