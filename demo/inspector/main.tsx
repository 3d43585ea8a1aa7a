// Starts the inspector page: the embedded model begins to load, the page is drawn.

import { render } from 'preact'
import { missingWebGpu, surroundings } from '../shared/webgpu.ts'
import { Session } from './session.ts'
import { App } from './view/app.tsx'

const session = new Session()
if (missingWebGpu(surroundings()) === undefined) session.reload()
render(<App session={session} />, document.querySelector('#app') ?? document.body)
