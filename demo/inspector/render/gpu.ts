// Draws boxes and lines on a canvas with WebGPU. Knows instances and a matrix; what they mean is in scene.ts.

import boxCode from './box.wgsl?raw'
import lineCode from './line.wgsl?raw'
import { boxStride, lineStride, type Scene } from './scene.ts'

export interface Renderer {
  /** Takes a scene; drawn from the next frame on. */
  setScene(scene: Scene): void
  /** `scale` in device pixels of a world unit. */
  draw(clipFromWorld: Float32Array, scale: number, dpr: number): void
  readonly lost: Promise<unknown>
  destroy(): void
}

interface Instances {
  readonly buffer: GPUBuffer
  readonly count: number
}

/** Throws an Error that says what is missing. */
export async function createRenderer(canvas: HTMLCanvasElement): Promise<Renderer> {
  const adapter = await (navigator.gpu as GPU | undefined)?.requestAdapter()
  if (adapter === null || adapter === undefined) throw new Error('WebGPU found no graphics adapter.')
  const device = await adapter.requestDevice()
  const context = canvas.getContext('webgpu')
  if (context === null) throw new Error('This browser draws no WebGPU on a canvas.')
  const format = navigator.gpu.getPreferredCanvasFormat()
  context.configure({ device, format, alphaMode: 'opaque' })
  const uniform = device.createBuffer({ size: 80, usage: GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST })
  const layout = device.createBindGroupLayout({
    entries: [{ binding: 0, visibility: GPUShaderStage.VERTEX | GPUShaderStage.FRAGMENT, buffer: {} }],
  })
  const group = device.createBindGroup({ layout, entries: [{ binding: 0, resource: { buffer: uniform } }] })
  const pipeline = (
    code: string,
    arrayStride: number,
    attributes: GPUVertexAttribute[],
  ): GPURenderPipeline => {
    const module = device.createShaderModule({ code })
    const blend: GPUBlendComponent = { srcFactor: 'one', dstFactor: 'one-minus-src-alpha' }
    return device.createRenderPipeline({
      layout: device.createPipelineLayout({ bindGroupLayouts: [layout] }),
      vertex: { module, buffers: [{ arrayStride, stepMode: 'instance', attributes }] },
      fragment: { module, targets: [{ format, blend: { color: blend, alpha: blend } }] },
      primitive: { topology: 'triangle-strip' },
    })
  }
  const boxes = pipeline(boxCode, boxStride, [
    { shaderLocation: 0, offset: 0, format: 'float32x4' },
    { shaderLocation: 1, offset: 16, format: 'unorm8x4' },
    { shaderLocation: 2, offset: 20, format: 'unorm8x4' },
    { shaderLocation: 3, offset: 24, format: 'float32x2' },
  ])
  const lines = pipeline(lineCode, lineStride, [
    { shaderLocation: 0, offset: 0, format: 'float32x4' },
    { shaderLocation: 1, offset: 16, format: 'unorm8x4' },
    { shaderLocation: 2, offset: 20, format: 'float32' },
  ])

  let current: { readonly scene: Scene; readonly layers: readonly Instances[] } | undefined
  const free = (): void => current?.layers.forEach(({ buffer }) => buffer.destroy())
  const upload = (data: ArrayBuffer, stride: number): Instances => {
    const usage = GPUBufferUsage.VERTEX | GPUBufferUsage.COPY_DST
    const buffer = device.createBuffer({ size: Math.max(data.byteLength, 4), usage })
    device.queue.writeBuffer(buffer, 0, data)
    return { buffer, count: data.byteLength / stride }
  }

  return {
    lost: device.lost,
    setScene(scene) {
      free()
      const layers = [
        upload(scene.groups, boxStride),
        upload(scene.lines, lineStride),
        upload(scene.boxes, boxStride),
      ]
      current = { scene, layers }
    },
    draw(clipFromWorld, scale, dpr) {
      if (current === undefined || canvas.width === 0 || canvas.height === 0) return
      device.queue.writeBuffer(uniform, 0, new Float32Array([...clipFromWorld, scale, dpr, 0, 0]))
      const [r, g, b] = current.scene.background.map((part) => part / 255) as [number, number, number]
      const encoder = device.createCommandEncoder()
      const pass = encoder.beginRenderPass({
        colorAttachments: [
          {
            view: context.getCurrentTexture().createView(),
            clearValue: { r, g, b, a: 1 },
            loadOp: 'clear',
            storeOp: 'store',
          },
        ],
      })
      pass.setBindGroup(0, group)
      current.layers.forEach(({ buffer, count }, index) => {
        if (count === 0) return
        pass.setPipeline(index === 1 ? lines : boxes)
        pass.setVertexBuffer(0, buffer)
        pass.draw(4, count)
      })
      pass.end()
      device.queue.submit([encoder.finish()])
    },
    destroy() {
      free()
      uniform.destroy()
      device.destroy()
    },
  }
}
