// The drawn diagram with its controls: what is shown, by which colours, how near; and the list that does for those who
// cannot see or point what the drawing does for the others.

import type { JSX } from 'preact'
import { useEffect, useMemo, useRef, useState } from 'preact/hooks'
import { Icon, IconButton } from '../../shared/view/icons.tsx'
import { familyOf, type Palette } from '../render/colours.ts'
import { Stage, zoomStep } from '../render/stage.ts'
import type { InspectorState, Session } from '../session.ts'
import { diagramOf, highlightedNodes, profileOf, selectedNode, timesOf } from '../shown.ts'
import { formatTime } from '../names.ts'
import { FamilyLegend, HeatLegend } from './legend.tsx'
import { OpList } from './opList.tsx'
import { Toolbar } from './toolbar.tsx'

/** Where controls and details lie over the drawing, and how much of it details cover in CSS pixels. */
const wide = '(min-width: 900px)'
const detailsWidth = 396

interface StageViewProps {
  readonly session: Session
  readonly state: InspectorState
  readonly palette: Palette
}

export function StageView({ session, state, palette }: StageViewProps): JSX.Element {
  const { inspection, view, plan, colour, selection, highlight, profiling } = state
  const surface = useRef<HTMLDivElement>(null)
  const canvas = useRef<HTMLCanvasElement>(null)
  const labels = useRef<HTMLCanvasElement>(null)
  const top = useRef<HTMLDivElement>(null)
  const bottom = useRef<HTMLDivElement>(null)
  const stage = useRef<Stage>(null)
  const [failure, setFailure] = useState<string>()
  const [hovered, setHovered] = useState<number>()
  const diagram = useMemo(
    () => inspection && diagramOf(inspection, view, plan),
    // The graph is the same for all plans.
    [inspection, view, view === 'graph' ? 0 : plan],
  )
  const profile = profileOf(profiling, plan)
  const times = useMemo(
    () => profile && inspection && timesOf(profile, inspection, view),
    [profile, inspection, view],
  )
  const node = selectedNode(selection, view)

  // Its callbacks outlive the rendering in which it is made.
  const latest = useRef(state)
  latest.current = state
  useEffect(() => {
    const heightOf = (element: HTMLElement | null): number => element?.offsetHeight ?? 0
    const made = new Stage({
      insets: () =>
        matchMedia(wide).matches
          ? {
              top: heightOf(top.current),
              bottom: heightOf(bottom.current),
              right: latest.current.selection === undefined ? 0 : detailsWidth,
            }
          : { top: 0, bottom: 0, right: 0 },
      canvas: canvas.current!,
      labels: labels.current!,
      surface: surface.current!,
      onSelect: (index) => {
        const kind = latest.current.view === 'graph' ? 'op' : 'dispatch'
        session.select(index === undefined ? undefined : { kind, index })
      },
      onHover: setHovered,
      onFailure: setFailure,
    })
    stage.current = made
    return () => made.destroy()
  }, [])
  useEffect(() => {
    if (diagram === undefined) return
    stage.current?.setDiagram(diagram)
    if (node !== undefined) stage.current?.reveal(node)
  }, [diagram])
  useEffect(() => {
    const hottest = times === undefined ? 0 : Math.max(...times)
    stage.current?.setLooks({
      palette,
      selected: node,
      hovered: undefined,
      highlighted: inspection && view === 'plan' ? highlightedNodes(highlight, inspection, plan) : undefined,
      heat: colour === 'time' && times !== undefined ? times.map((ms) => ms / (hottest || 1)) : undefined,
      notes: times?.map(formatTime),
    })
  }, [diagram, palette, node, highlight, colour, times])

  const choose = (index: number): void => {
    session.select({ kind: view === 'graph' ? 'op' : 'dispatch', index })
    // After the details have taken their place.
    requestAnimationFrame(() => stage.current?.reveal(index))
  }
  const summary =
    diagram === undefined
      ? 'No model yet'
      : `${view === 'graph' ? 'Graph' : 'Plan'} of ${diagram.nodes.length} ${view === 'graph' ? 'ops' : 'dispatches'} in ${diagram.groups.length} groups`
  return (
    <section class="stage" aria-label="Diagram">
      <div ref={top} class="stage-top">
        <Toolbar {...{ session, state }} />
        {diagram !== undefined && <OpList diagram={diagram} selected={node} onChoose={choose} />}
      </div>
      <div class="view">
        <div
          ref={surface}
          class={`surface ${hovered === undefined ? '' : 'pointing'}`}
          role="application"
          tabIndex={0}
          aria-label={`${summary}. Arrows move, plus and minus zoom, 0 shows all.`}
        >
          <canvas ref={canvas} role="img" aria-label={summary} />
          <canvas ref={labels} aria-hidden="true" />
        </div>
        {failure !== undefined && (
          <p class="no-stage" role="alert">
            <Icon name="warning" /> {failure} The list of ops and the panels work without it.
          </p>
        )}
        <div class="zoom" role="group" aria-label="Zoom">
          <IconButton icon="plus" label="Zoom in" onClick={() => stage.current?.zoom(zoomStep)} />
          <IconButton icon="minus" label="Zoom out" onClick={() => stage.current?.zoom(1 / zoomStep)} />
          <IconButton icon="fit" label="Show all" onClick={() => stage.current?.fit()} />
        </div>
      </div>
      {diagram !== undefined && (
        <div ref={bottom} class="stage-bottom">
          {colour === 'time' ? (
            <HeatLegend {...{ palette, profiling, profile }} />
          ) : (
            <FamilyLegend
              palette={palette}
              families={diagram.nodes.map(({ op }) => familyOf(op))}
              chips={diagram.nodes.flatMap(({ chips }) => chips.map(({ kind }) => kind))}
            />
          )}
        </div>
      )}
    </section>
  )
}
