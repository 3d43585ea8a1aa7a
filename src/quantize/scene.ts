// Scenes and captions by (seed, index), the distribution that shapes.json specifies. Its twin is sdxl_shapes.py beside
// the training: same random numbers in the same order. Pixels are drawn in drawShapes.ts.

import {
  backgrounds,
  colours,
  relations,
  shapes,
  sizes,
  spec,
  type Relation,
  type Scene,
  type Thing,
} from './shapes.ts'

/** Mulberry32: 32 bits of state, a few lines in any language. */
class Random {
  #state: number

  constructor(seed: number, index: number) {
    this.#state = (Math.imul(seed, 0x9e37_79b1) + Math.imul(index, 0x85eb_ca6b)) >>> 0
    this.next()
  }

  /** Uniform in [0, 1). */
  next(): number {
    this.#state = (this.#state + 0x6d2b_79f5) >>> 0
    let t = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }

  between(low: number, high: number): number {
    return low + (high - low) * this.next()
  }

  pick<T>(items: readonly T[]): T {
    return items[Math.floor(this.next() * items.length)]!
  }
}

/** What a caption says; what it leaves open may be drawn either way. */
export interface Caption {
  readonly text: string
  /** Whether the size of each object is named. */
  readonly namesSize: readonly boolean[]
  readonly namesBackground: boolean
}

export interface Example extends Caption {
  readonly scene: Scene
}

type Unplaced = Omit<Thing, 'x' | 'y'>

function drawThing(random: Random): Unplaced {
  const shape = random.pick(shapes)
  const colour = random.pick(colours)
  const size = random.pick(sizes)
  const [least, largest] = spec.sizes[size]
  return { shape, colour, size, extent: random.between(least!, largest!) }
}

/** Objects never touch; a pair differs in shape or colour, and one coordinate tells clearly how they stand. */
function drawScene(random: Random): Scene {
  const { margin } = spec.geometry
  const background = random.pick(backgrounds)
  const isPair = random.next() < spec.two
  const first = drawThing(random)
  if (!isPair) {
    const low = margin + first.extent
    const x = random.between(low, 1 - margin - first.extent)
    const y = random.between(low, 1 - margin - first.extent)
    return { background, relation: undefined, things: [{ ...first, x, y }] }
  }
  let second = drawThing(random)
  while (second.shape === first.shape && second.colour === first.colour) second = drawThing(random)
  const relation = random.pick(relations)
  return { background, relation, things: placePair(random, relation, first, second) }
}

function placePair(random: Random, relation: Relation, first: Unplaced, second: Unplaced): Thing[] {
  const { margin, gap, drift } = spec.geometry
  const { axis, first: firstIsLow } = spec.relations[relation]
  const [low, high] = firstIsLow ? [first, second] : [second, first]
  const room = 1 - 2 * margin - gap - 2 * low.extent - 2 * high.extent
  const before = room * random.next()
  const between = (room - before) * random.next()
  const alongLow = margin + before + low.extent
  const alongHigh = alongLow + low.extent + gap + between + high.extent
  const acrossLow = random.between(margin + low.extent, 1 - margin - low.extent)
  const drifted = acrossLow + random.between(-drift, drift)
  const acrossHigh = Math.min(Math.max(drifted, margin + high.extent), 1 - margin - high.extent)
  const at = (along: number, across: number): { x: number; y: number } =>
    axis === 'x' ? { x: along, y: across } : { x: across, y: along }
  const placedLow = { ...low, ...at(alongLow, acrossLow) }
  const placedHigh = { ...high, ...at(alongHigh, acrossHigh) }
  return firstIsLow ? [placedLow, placedHigh] : [placedHigh, placedLow]
}

function drawCaption(scene: Scene, random: Random): Caption {
  const { mention, words, one, two, background } = spec.captions
  const namesSize: boolean[] = []
  const told = scene.things.map((thing) => {
    const isNamed = random.next() < mention.size
    const size = isNamed ? `${random.pick(words[thing.size])} ` : ''
    namesSize.push(isNamed)
    return `${size}${thing.colour} ${random.pick(words[thing.shape])}`
  })
  let text = random.pick(scene.relation === undefined ? one : two)
  text = text.replace('{a}', told[0]!).replace('{b}', told[1] ?? '')
  if (scene.relation !== undefined) text = text.replace('{relation}', random.pick(words[scene.relation]))
  const namesBackground = random.next() < mention.background
  if (namesBackground) text += random.pick(background).replace('{background}', scene.background)
  return { text, namesSize, namesBackground }
}

/** Whether a pair's combination is one that training leaves out, whichever of the two is named first. */
export function isHeldOut(scene: Scene): boolean {
  if (scene.relation === undefined) return false
  const { axis, first } = spec.relations[scene.relation]
  const ordered = first ? scene.things : scene.things.toReversed()
  const indices = ordered.flatMap(({ shape, colour, size }) => [
    shapes.indexOf(shape),
    colours.indexOf(colour),
    sizes.indexOf(size),
  ])
  indices.push(axis === 'x' ? 0 : 1)
  const { modulus, weights } = spec.heldOut
  return indices.reduce((sum, index, at) => sum + index * weights[at]!, 0) % modulus === 0
}

/** The scene and caption of a number: the same in every run and in the training's Python. */
export function exampleOf(seed: number, index: number): Example {
  const random = new Random(seed, index)
  const scene = drawScene(random)
  return { scene, ...drawCaption(scene, random) }
}
