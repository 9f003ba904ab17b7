import type { Case } from '../matrix.js';
import { attributeCases } from './attributes.js';
import { holeCases } from './holes.js';
import { ioCases } from './io.js';
import { linkCases } from './links.js';
import { lockCases } from './locks.js';
import { lookupCases } from './lookup.js';
import { raceCases } from './race.js';
import { readdirCases } from './readdir.js';
import { remountCases } from './remount.js';
import { renameCases } from './rename.js';
import { timeCases } from './times.js';
import { unprivCases } from './unpriv.js';
import { volumeCases } from './volume.js';

/** The whole matrix. */
export const cases: readonly Case[] = [
  ...lookupCases, ...renameCases, ...linkCases, ...attributeCases, ...timeCases, ...ioCases, ...holeCases,
  ...readdirCases, ...lockCases, ...unprivCases, ...volumeCases, ...remountCases, ...raceCases,
];
