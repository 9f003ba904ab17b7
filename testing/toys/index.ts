import type { Component } from '../../src/kernel/rump.js';
import { foldfs } from './foldfs.js';
import { movedfs } from './movedfs.js';
import { pairfs } from './pairfs.js';
import { sharedfs } from './sharedfs.js';
import { stuckfs } from './stuckfs.js';

export const toys: readonly Component[] = [foldfs, movedfs, pairfs, sharedfs, stuckfs];
