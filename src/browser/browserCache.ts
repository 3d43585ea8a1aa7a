// The weight cache of this origin, as pages and workers see it.

import { modelCache, type ModelCache } from '../weights/remote/modelCache.ts'
import { portableHashing } from '../weights/remote/sha256.ts'
import { opfsChunks } from './opfsChunks.ts'

export const browserCache: ModelCache = modelCache(opfsChunks, portableHashing)
