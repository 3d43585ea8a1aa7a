// Why a page may have no WebGPU, and what its user can do about it.

export interface Surroundings {
  /** Whether navigator.gpu is there. */
  readonly hasGpu: boolean
  /** https, or localhost. */
  readonly isSecure: boolean
  readonly userAgent: string
}

export interface Guidance {
  readonly title: string
  readonly steps: readonly string[]
}

export function surroundings(): Surroundings {
  return { hasGpu: 'gpu' in navigator, isSecure: isSecureContext, userAgent: navigator.userAgent }
}

/** Undefined where WebGPU is there; whether it has an adapter shows when a model is loaded. */
export function missingWebGpu({ hasGpu, isSecure, userAgent }: Surroundings): Guidance | undefined {
  if (hasGpu) return undefined
  if (!isSecure) {
    return {
      title: 'WebGPU needs a secure address',
      steps: [
        'Browsers give WebGPU only to pages over https and on localhost.',
        'Open this page as http://localhost or http://127.0.0.1, or serve it over https.',
      ],
    }
  }
  return { title: 'This browser has no WebGPU', steps: browserSteps(userAgent) }
}

/** For a browser that has WebGPU but no adapter for it. */
export function missingAdapter(userAgent: string): Guidance {
  const isChromium = /Chrom(e|ium)\//.test(userAgent)
  return {
    title: 'WebGPU found no graphics adapter',
    steps: [
      'Turn on hardware acceleration in the settings of the browser, and bring the graphics driver up to date.',
      ...(isChromium && /Linux|X11/.test(userAgent)
        ? ['On Linux, start Chromium with --enable-unsafe-webgpu --enable-features=Vulkan.']
        : []),
      ...(isChromium
        ? [
            'Without a graphics card, --enable-unsafe-webgpu --use-webgpu-adapter=swiftshader computes on the CPU: slow, but right.',
          ]
        : []),
    ],
  }
}

function browserSteps(userAgent: string): string[] {
  const latest = 'Current Chrome and Edge have it on every system, Safari from version 26 on.'
  if (/Firefox\//.test(userAgent)) {
    return [
      'Firefox has it on Windows from version 141 and on macOS from version 145 on; elsewhere set dom.webgpu.enabled in about:config.',
      latest,
    ]
  }
  if (/Chrom(e|ium)\//.test(userAgent)) {
    return [
      'Bring the browser up to date, or switch WebGPU on at chrome://flags/#enable-unsafe-webgpu.',
      latest,
    ]
  }
  if (/Safari\//.test(userAgent)) return ['Safari has it from version 26 on (macOS 26, iOS 26).', latest]
  return [latest]
}
