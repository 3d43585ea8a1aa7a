// The drawn diagram and what hands do with it: drag, wheel, pinch, keys, clicks. Draws when something has changed.
// Not here: what is shown and why (../view/stageView.tsx).

import {
  centred,
  fit,
  hit,
  pan,
  toWorld,
  viewMatrix,
  zoomAt,
  type Camera,
  type Insets,
  type Viewport,
} from '../diagram/camera.ts'
import type { Diagram } from '../diagram/diagram.ts'
import { layOut, type Layout } from '../diagram/layout.ts'
import type { Point } from '../diagram/places.ts'
import { createRenderer, type Renderer } from './gpu.ts'
import { drawLabels, type LabelStyle } from './labels.ts'
import { makeScene, type Looks } from './scene.ts'

export interface StageOptions {
  readonly canvas: HTMLCanvasElement
  readonly labels: HTMLCanvasElement
  /** Takes pointers and keys; as large as the canvases. */
  readonly surface: HTMLElement
  /** What lies over the drawing now. */
  readonly insets: () => Insets
  readonly onSelect: (node: number | undefined) => void
  readonly onHover: (node: number | undefined) => void
  /** It cannot be drawn. */
  readonly onFailure: (reason: string) => void
}

/** CSS pixels that a pointer may wander in a click. */
const clickSlack = 5
const keyStep = 80
export const zoomStep = 1.3
const moveMs = 220
const leastLifeMs = 5000
const lostReason =
  'The graphics device was lost. Load the page again. A Chromium that computes on the CPU draws with ' +
  '--enable-features=Vulkan --use-vulkan=swiftshader --use-angle=swiftshader.'

export class Stage {
  readonly #options: StageOptions
  readonly #listening = new AbortController()
  readonly #observer: ResizeObserver
  readonly #pointers = new Map<number, Point>()
  #renderer: Renderer | undefined
  #content: { readonly diagram: Diagram; readonly layout: Layout } | undefined
  #looks: (Looks & LabelStyle) | undefined
  #camera: Camera = { x: 0, y: 0, scale: 1 }
  #viewport: Viewport = { width: 0, height: 0 }
  #dpr = 1
  #frame = 0
  /** A move under way. */
  #move: { readonly from: Camera; readonly to: Camera; readonly beginMs: number } | undefined
  #isSceneOld = true
  /** Until the user has moved, the view follows the size of the window. */
  #isFitted = true
  #hovered: number | undefined
  /** How far the pointers have gone since the first came down. */
  #wandered = 0

  constructor(options: StageOptions) {
    this.#options = options
    this.#observer = new ResizeObserver(() => this.#resize())
    this.#observer.observe(options.surface)
    this.#listen()
    this.#resize()
    void this.#start()
  }

  destroy(): void {
    this.#listening.abort()
    this.#observer.disconnect()
    cancelAnimationFrame(this.#frame)
    this.#renderer?.destroy()
    this.#renderer = undefined
  }

  /** Another diagram, seen as a whole. */
  setDiagram(diagram: Diagram): void {
    const { width, height } = this.#viewport
    this.#content = { diagram, layout: layOut(diagram, width / Math.max(1, height)) }
    this.#isSceneOld = true
    this.fit()
  }

  setLooks(looks: Looks & LabelStyle): void {
    this.#looks = looks
    this.#isSceneOld = true
    this.#redraw()
  }

  /** All of it. */
  fit(): void {
    if (this.#content !== undefined)
      this.#set(fit({ x: 0, y: 0, ...this.#content.layout }, this.#viewport, this.#options.insets()))
    this.#isFitted = true
  }

  zoom(factor: number, anchor: Point = { x: this.#viewport.width / 2, y: this.#viewport.height / 2 }): void {
    this.#set(zoomAt(this.#camera, this.#viewport, anchor, factor))
  }

  /** Moves so that a node can be read. */
  reveal(node: number): void {
    const place = this.#content?.layout.nodes[node]
    if (place === undefined) return
    const middle = { x: place.x + place.width / 2, y: place.y + place.height / 2 }
    this.#moveTo(centred(middle, Math.max(this.#camera.scale, 0.8), this.#options.insets()))
  }

  #moveTo(to: Camera): void {
    if (matchMedia('(prefers-reduced-motion: reduce)').matches) return this.#set(to)
    this.#isFitted = false
    this.#move = { from: this.#camera, to, beginMs: performance.now() }
    this.#redraw()
  }

  #set(camera: Camera): void {
    this.#isFitted = false
    this.#move = undefined
    this.#camera = camera
    this.#redraw()
  }

  /** One frame further. */
  #advance(): void {
    if (this.#move === undefined) return
    const { from, to, beginMs } = this.#move
    const t = Math.min(1, (performance.now() - beginMs) / moveMs)
    const share = 1 - (1 - t) ** 3
    const between = (a: number, b: number): number => a + (b - a) * share
    const [x, y] = [between(from.x, to.x), between(from.y, to.y)]
    this.#camera = { x, y, scale: between(from.scale, to.scale) }
    if (t === 1) this.#move = undefined
    else this.#redraw()
  }

  async #start(): Promise<void> {
    try {
      const renderer = await createRenderer(this.#options.canvas)
      if (this.#listening.signal.aborted) return renderer.destroy()
      this.#renderer = renderer
      this.#isSceneOld = true
      this.#redraw()
      const startedAt = performance.now()
      await renderer.lost
      if (this.#listening.signal.aborted) return
      this.#renderer = undefined
      // A driver that starts again; one that fails at once will go on failing.
      if (performance.now() - startedAt > leastLifeMs) return await this.#start()
      this.#options.onFailure(lostReason)
    } catch (error) {
      this.#options.onFailure(error instanceof Error ? error.message : String(error))
    }
  }

  #redraw(): void {
    cancelAnimationFrame(this.#frame)
    this.#frame = requestAnimationFrame(() => {
      this.#advance()
      this.#draw()
    })
  }

  #draw(): void {
    if (this.#renderer === undefined || this.#content === undefined || this.#looks === undefined) return
    const { diagram, layout } = this.#content
    if (this.#isSceneOld) {
      this.#renderer.setScene(makeScene(diagram, layout, { ...this.#looks, hovered: this.#hovered }))
    }
    this.#isSceneOld = false
    const [camera, viewport, dpr] = [this.#camera, this.#viewport, this.#dpr]
    this.#renderer.draw(viewMatrix(camera, viewport), camera.scale * dpr, dpr)
    const context = this.#options.labels.getContext('2d')
    if (context !== null) drawLabels(context, diagram, layout, this.#looks, { camera, viewport, dpr })
  }

  #resize(): void {
    const { canvas, labels, surface } = this.#options
    const { clientWidth: width, clientHeight: height } = surface
    this.#dpr = devicePixelRatio
    this.#viewport = { width, height }
    for (const target of [canvas, labels]) {
      target.width = Math.max(1, Math.round(width * this.#dpr))
      target.height = Math.max(1, Math.round(height * this.#dpr))
    }
    if (this.#isFitted) this.fit()
    // At once: a canvas is empty after its size was set.
    this.#draw()
  }

  #listen(): void {
    const { surface } = this.#options
    const { signal } = this.#listening
    const at = ({ clientX, clientY }: MouseEvent): Point => {
      const { left, top } = surface.getBoundingClientRect()
      return { x: clientX - left, y: clientY - top }
    }
    const on = <K extends keyof HTMLElementEventMap>(
      type: K,
      listener: (event: HTMLElementEventMap[K]) => void,
    ): void => surface.addEventListener(type, listener, { signal, passive: false })
    on('pointerdown', (event) => {
      if (event.button !== 0) return
      if (this.#pointers.size === 0) this.#wandered = 0
      this.#pointers.set(event.pointerId, at(event))
      surface.setPointerCapture(event.pointerId)
    })
    on('pointermove', (event) => {
      if (this.#pointers.has(event.pointerId)) this.#drag(event.pointerId, at(event))
      else this.#hover(this.#nodeAt(at(event)))
    })
    on('pointerup', (event) => {
      if (!this.#pointers.delete(event.pointerId) || this.#wandered > clickSlack) return
      this.#options.onSelect(this.#nodeAt(at(event)))
    })
    on('pointercancel', ({ pointerId }) => this.#pointers.delete(pointerId))
    on('pointerleave', () => this.#hover(undefined))
    on('dblclick', (event) => {
      const { layout } = this.#content ?? {}
      const group = layout && hit(toWorld(at(event), this.#camera, this.#viewport), layout).group
      if (layout !== undefined && group !== undefined)
        this.#moveTo(fit(layout.groups[group]!, this.#viewport, this.#options.insets()))
    })
    on('wheel', (event) => {
      event.preventDefault()
      // Lines or pages in some browsers.
      const pixels = event.deltaY * (event.deltaMode === 0 ? 1 : 30)
      // A pinch on a touchpad comes as a wheel with ctrl and small steps.
      this.zoom(Math.exp(-pixels * (event.ctrlKey ? 0.01 : 0.0016)), at(event))
    })
    on('keydown', (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || !this.#key(event.key)) return
      event.preventDefault()
    })
  }

  /** Whether the key means something here. */
  #key(key: string): boolean {
    const arrows: Readonly<Record<string, readonly [number, number]>> = {
      ArrowLeft: [keyStep, 0],
      ArrowRight: [-keyStep, 0],
      ArrowUp: [0, keyStep],
      ArrowDown: [0, -keyStep],
    }
    const arrow = arrows[key]
    if (arrow !== undefined) {
      this.#set(pan(this.#camera, ...arrow))
    } else if (key === '+' || key === '=') this.zoom(zoomStep)
    else if (key === '-' || key === '_') this.zoom(1 / zoomStep)
    else if (key === '0') this.fit()
    else if (key === 'Escape') this.#options.onSelect(undefined)
    else return false
    return true
  }

  #drag(id: number, to: Point): void {
    const from = this.#pointers.get(id)!
    const [dx, dy] = [to.x - from.x, to.y - from.y]
    this.#wandered += Math.abs(dx) + Math.abs(dy)
    const others = [...this.#pointers].filter(([other]) => other !== id).map(([, point]) => point)
    this.#pointers.set(id, to)
    const [other] = others
    if (other === undefined) return this.#set(pan(this.#camera, dx, dy))
    const distance = (point: Point): number => Math.max(1, Math.hypot(point.x - other.x, point.y - other.y))
    const middle = { x: (to.x + other.x) / 2, y: (to.y + other.y) / 2 }
    const moved = pan(this.#camera, dx / 2, dy / 2)
    this.#set(zoomAt(moved, this.#viewport, middle, distance(to) / distance(from)))
  }

  #nodeAt(point: Point): number | undefined {
    if (this.#content === undefined) return undefined
    return hit(toWorld(point, this.#camera, this.#viewport), this.#content.layout).node
  }

  #hover(node: number | undefined): void {
    if (node === this.#hovered) return
    this.#hovered = node
    this.#options.onHover(node)
    this.#isSceneOld = true
    this.#redraw()
  }
}
