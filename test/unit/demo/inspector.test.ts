// What the inspector page decides without a browser: diagrams of a real model, where boxes and edges stand, what is under
// the pointer, the map of KV blocks.

import * as fc from 'fast-check'
import { beforeAll, describe, expect, test } from 'vitest'
import { blockMap, mapColumns } from '../../../demo/inspector/blockMap.ts'
import {
  centred,
  fit,
  hit,
  pan,
  toScreen,
  toWorld,
  zoomAt,
  type Camera,
} from '../../../demo/inspector/diagram/camera.ts'
import { groupByLayer, type Diagram } from '../../../demo/inspector/diagram/diagram.ts'
import { graphDiagram } from '../../../demo/inspector/diagram/graphDiagram.ts'
import { layOut, type Layout } from '../../../demo/inspector/diagram/layout.ts'
import type { Rect } from '../../../demo/inspector/diagram/places.ts'
import { planDiagram } from '../../../demo/inspector/diagram/planDiagram.ts'
import { formatTime, shortName } from '../../../demo/inspector/names.ts'
import { highlightedNodes, planName, timesOf } from '../../../demo/inspector/shown.ts'
import type { ModelInspection } from '../../../src/api/types.ts'
import { openEngine } from '../api/models.ts'

let inspection: ModelInspection

beforeAll(async () => {
  await using engine = await openEngine()
  inspection = await engine.inspect.model()
})

const overlap = (a: Rect, b: Rect): boolean =>
  a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height

const inside = (inner: Rect, outer: Rect): boolean =>
  inner.x >= outer.x &&
  inner.y >= outer.y &&
  inner.x + inner.width <= outer.x + outer.width &&
  inner.y + inner.height <= outer.y + outer.height

/** What is wrong with a layout. */
function faultsOf(diagram: Diagram, { nodes, groups, edges, width, height }: Layout): string[] {
  const faults: string[] = []
  if (nodes.length !== diagram.nodes.length || nodes.includes(undefined!)) faults.push('a node has no place')
  if (edges.length !== diagram.edges.length) faults.push('an edge has no way')
  const all = { x: 0, y: 0, width, height }
  groups.forEach((group, a) => {
    if (!inside(group, all)) faults.push(`group ${a} is out of sight`)
    if (groups.slice(a + 1).some((other) => overlap(group, other))) faults.push(`group ${a} lies on another`)
  })
  nodes.forEach((node, a) => {
    if (!inside(node, groups[diagram.nodes[a]!.group]!)) faults.push(`node ${a} is not in its group`)
    if (nodes.slice(a + 1).some((other) => overlap(node, other))) faults.push(`node ${a} lies on another`)
  })
  edges.forEach((route, index) => {
    const { from, to } = diagram.edges[index]!
    const [source, target] = [nodes[from]!, nodes[to]!]
    const [start, end] = [route[0]!, route.at(-1)!]
    if (start.y !== source.y + source.height || start.x < source.x || start.x > source.x + source.width)
      faults.push(`edge ${index} does not begin at its box`)
    if (end.y !== target.y || end.x < target.x || end.x > target.x + target.width)
      faults.push(`edge ${index} does not end at its box`)
    const crosses = nodes.some(({ x, y, width, height }) =>
      route.some((p) => p.x > x + 1 && p.x < x + width - 1 && p.y > y + 1 && p.y < y + height - 1),
    )
    if (crosses) faults.push(`edge ${index} runs across a box`)
  })
  return faults
}

describe('the graph of a model', () => {
  test('has every op once, grouped by layer, and an edge for each use of a result', () => {
    const { graph } = inspection
    const { nodes, edges, groups } = graphDiagram(graph)
    expect(nodes.map(({ title }) => title)).toEqual(graph.ops.map(({ kind }) => kind))
    expect(groups).toEqual(['Input', 'Layer 0', 'Layer 1', 'Output'])
    graph.ops.forEach(({ origin }, index) => {
      const layer = /^layers\.(\d+)\.(.*)/.exec(origin)
      expect(groups[nodes[index]!.group]).toBe(
        layer === null ? (index < 2 ? 'Input' : 'Output') : `Layer ${layer[1]}`,
      )
      expect(nodes[index]!.path).toBe(layer === null ? origin : layer[2])
    })
    const made = new Map(graph.ops.flatMap(({ outputs }, at) => Object.values(outputs).map((id) => [id, at])))
    const uses = graph.ops.flatMap(({ inputs }, to) =>
      [...new Set(Object.values(inputs))].flatMap((id) => (made.has(id) ? [[made.get(id), to]] : [])),
    )
    expect(edges.map(({ from, to }) => [from, to])).toEqual(uses)
    // Keys and values go from where they are written to where they are read.
    expect(edges.filter(({ kind }) => kind === 'state').length).toBeGreaterThanOrEqual(4)
  })

  test('names weights, states and inputs on the ops that take them', () => {
    const { graph } = inspection
    const { nodes } = graphDiagram(graph)
    const attention = nodes[graph.ops.findIndex(({ kind }) => kind === 'attention')]!
    expect(attention.chips).toEqual([
      { kind: 'state', label: 'k_cache, v_cache' },
      { kind: 'input', label: 'blockTables, cuSeqlensQ, contextLens' },
    ])
    const output = nodes[graph.ops.findIndex(({ origin }) => origin === 'layers.0.mlp.down_proj')]!
    expect(output.lines).toEqual(['f32 [T, 64]'])
    expect(output.chips).toMatchObject([
      { kind: 'weight', label: expect.stringMatching(/^w {2}f32 \[64, \d+\]$/) },
    ])
  })

  test('groups by the first number of a path, whatever the model calls it', () => {
    const { groups, places } = groupByLayer([
      'tokens',
      'down_blocks.0.conv',
      'down_blocks.0.attn.1.q',
      'norm',
    ])
    expect(groups).toEqual(['Input', 'down_blocks.0', 'Output'])
    expect(places[2]).toEqual({ group: 1, path: 'attn.1.q' })
  })
})

describe('a plan', () => {
  test('has every dispatch once, in its order', () => {
    for (const plan of inspection.plans) {
      const { nodes, edges } = planDiagram(plan)
      expect(nodes.map(({ title }) => title)).toEqual(plan.dispatches.map(({ variant }) => variant))
      expect(edges.map(({ from, to }) => [from, to])).toEqual(
        nodes.slice(1).map((_, index) => [index, index + 1]),
      )
    }
  })

  test('shows who uses a buffer, and where a kernel of a profile runs', () => {
    const [plan] = inspection.plans
    const { bindings, variant, place } = plan!.dispatches[5]!
    const users = highlightedNodes({ kind: 'buffer', id: bindings[0]!.buffer }, inspection, 0)!
    plan!.dispatches.forEach((dispatch, index) =>
      expect(users.has(index)).toBe(dispatch.bindings.some(({ buffer }) => buffer === bindings[0]!.buffer)),
    )
    const alike = highlightedNodes({ kind: 'kernel', variant, origin: place }, inspection, 0)!
    // One in each of both layers.
    expect([...alike]).toHaveLength(2)
  })

  test('gives each op the time of its dispatches', () => {
    const { dispatches } = inspection.plans[0]!
    const dispatchMs = dispatches.map((_, index) => index + 1)
    const profile = { kind: 'decode', plan: 0, steps: 1, tokens: 1, ms: 0, dispatchMs, kernels: [] } as const
    expect(timesOf(profile, inspection, 'plan')).toBe(dispatchMs)
    const times = timesOf(profile, inspection, 'graph')
    const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0)
    expect(sum(times)).toBe(sum(dispatchMs))
    expect(times[dispatches[3]!.opIndex]).toBeGreaterThanOrEqual(4)
  })

  test('is named after its steps', () => {
    expect(inspection.plans.map((_, index) => planName(inspection, index))).toEqual([
      'Decode, 1 sequence',
      'Decode, up to 3 sequences',
      'Prefill, up to 32 tokens',
    ])
  })
})

describe('a layout', () => {
  test.each([0.4, 1.2, 3])('of a real model keeps everything apart, for an area of aspect %d', (aspect) => {
    const diagrams = [graphDiagram(inspection.graph), ...inspection.plans.map(planDiagram)]
    for (const diagram of diagrams) expect(faultsOf(diagram, layOut(diagram, aspect))).toEqual([])
  })

  test('of any graph keeps everything apart', () => {
    const node = fc.record({ group: fc.nat(4), chips: fc.nat(3), from: fc.array(fc.nat(), { maxLength: 3 }) })
    fc.assert(
      fc.property(
        fc.array(node, { minLength: 1, maxLength: 40 }),
        fc.double({ min: 0.2, max: 4, noNaN: true }),
        (made, aspect) => {
          const used = [...new Set(made.map(({ group }) => group))]
          const diagram: Diagram = {
            groups: used.map(String),
            nodes: made.map(({ group, chips }) => ({
              group: used.indexOf(group),
              title: '',
              path: '',
              op: 'linear',
              lines: [],
              chips: Array.from({ length: chips }, () => ({ kind: 'weight', label: '' }) as const),
            })),
            edges: made.flatMap(({ from }, to) =>
              to === 0 ? [] : from.map((at) => ({ from: at % to, to, kind: 'value', key: at % to }) as const),
            ),
          }
          expect(faultsOf(diagram, layOut(diagram, aspect))).toEqual([])
        },
      ),
      { numRuns: 200 },
    )
  })

  test('fills an area of its shape: a wide one with many columns, a high one with few', () => {
    const diagram = graphDiagram(inspection.graph)
    const [wide, high] = [layOut(diagram, 4), layOut(diagram, 0.25)]
    expect(wide.width / wide.height).toBeGreaterThan(1)
    expect(high.width / high.height).toBeLessThan(0.6)
  })
})

describe('the camera', () => {
  const viewport = { width: 800, height: 500 }
  const cameras: readonly Camera[] = [
    { x: 0, y: 0, scale: 1 },
    { x: 310, y: -45, scale: 0.07 },
    { x: -1234, y: 987, scale: 3.5 },
  ]

  test.each(cameras)('at $x, $y and scale $scale shows what it hits', (camera) => {
    // By hand: the middle of the view is the camera's point, a world unit is `scale` pixels, y goes down.
    const world = { x: camera.x + 30 / camera.scale, y: camera.y - 20 / camera.scale }
    const screen = toScreen(world, camera, viewport)
    expect(screen.x).toBeCloseTo(430, 2)
    expect(screen.y).toBeCloseTo(230, 2)
    const back = toWorld(screen, camera, viewport)
    expect(back.x).toBeCloseTo(world.x, 1)
    expect(back.y).toBeCloseTo(world.y, 1)
  })

  test.each(cameras)('zooms about the pointer and pans by what the hand moves, at scale $scale', (camera) => {
    const anchor = { x: 123, y: 77 }
    const under = toWorld(anchor, camera, viewport)
    const zoomed = toScreen(under, zoomAt(camera, viewport, anchor, 1.7), viewport)
    expect(zoomed.x).toBeCloseTo(123, 2)
    expect(zoomed.y).toBeCloseTo(77, 2)
    const panned = toScreen(under, pan(camera, 40, -9), viewport)
    expect(panned.x).toBeCloseTo(163, 2)
    expect(panned.y).toBeCloseTo(68, 2)
  })

  test('fits a diagram into what nothing lies over', () => {
    const insets = { top: 60, right: 200, bottom: 40 }
    const rect = { x: 100, y: 50, width: 3000, height: 900 }
    const camera = fit(rect, viewport, insets)
    const corner = toScreen(rect, camera, viewport)
    const other = toScreen({ x: 3100, y: 950 }, camera, viewport)
    expect(corner.x).toBeCloseTo(16)
    expect(other.x).toBeCloseTo(800 - 200 - 16)
    expect((corner.y + other.y) / 2).toBeCloseTo(60 + 400 / 2)
    const middle = toScreen({ x: 7, y: 8 }, centred({ x: 7, y: 8 }, 2, insets), viewport)
    expect([middle.x, middle.y].map(Math.round)).toEqual([300, 260])
  })

  test('hits each box, and nothing between them', () => {
    const diagram = graphDiagram(inspection.graph)
    const layout = layOut(diagram, 1.3)
    const camera = fit({ x: 0, y: 0, ...layout }, viewport, { top: 0, right: 0, bottom: 0 })
    layout.nodes.forEach(({ x, y, width, height }, index) => {
      const screen = toScreen({ x: x + width / 2, y: y + height / 2 }, camera, viewport)
      const { group } = diagram.nodes[index]!
      expect(hit(toWorld(screen, camera, viewport), layout)).toEqual({ node: index, group })
      expect(hit({ x: x - 2, y: y + height / 2 }, layout).node).not.toBe(index)
    })
    expect(hit({ x: -5, y: -5 }, layout)).toEqual({})
  })
})

describe('the map of KV blocks', () => {
  test('shows who holds a block and how full it is', () => {
    const cells = blockMap({
      blockSize: 16,
      numBlocks: 6,
      numFree: 2,
      sequences: [
        { id: 7, status: 'running', promptTokens: 3, cachedTokens: 20, blocks: [4, 1] },
        { id: 9, status: 'running', promptTokens: 3, cachedTokens: 16, blocks: [0, 5] },
        { id: 11, status: 'waiting', promptTokens: 3, cachedTokens: 0, blocks: [] },
      ],
    })
    expect(cells.map(({ sequence }) => sequence)).toEqual([9, 7, undefined, undefined, 7, 9])
    expect(cells.map(({ fill }) => fill)).toEqual([1, 0.25, 0, 0, 1, 0])
  })

  test.each([
    [128, 3.2, 16],
    [1024, 3.2, 32],
    [7, 3.2, 5],
    [1, 3.2, 1],
  ])('of %d blocks at aspect %d has %d columns', (numBlocks, aspect, columns) => {
    expect(mapColumns(numBlocks, aspect)).toBe(columns)
  })
})

test('names and times are short', () => {
  expect(shortName('model.layers.3.mlp.down_proj.weight')).toBe('layers.3.mlp.down_proj')
  expect(shortName('concat(model.a.weight, model.b.weight, model.c.weight)')).toBe('a + 2 more')
  expect(shortName('table:rotary({"kind":"default"}, 32, 1024)')).toBe('rotary table')
  expect([0, 0.0002, 0.42, 3.456, 45.67].map(formatTime)).toEqual([
    '0',
    '1 µs',
    '420 µs',
    '3.46 ms',
    '45.7 ms',
  ])
})
