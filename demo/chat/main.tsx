// Starts the chat page: what was kept comes back, the model begins to load, the page is drawn.

import { render } from 'preact'
import { Session } from './session.ts'
import { App } from './view/app.tsx'
import { missingWebGpu, surroundings } from '../shared/webgpu.ts'

const session = new Session()
await session.restore()
if (missingWebGpu(surroundings()) === undefined) session.loadFirst()
// A task of its own, so that neither is long.
await new Promise((resolve) => setTimeout(resolve))
render(<App session={session} />, document.querySelector('#app') ?? document.body)
