// Run as a child process by adapter.mjs: prints the adapter that Dawn finds, or null.
import { create } from 'webgpu'

// Dawn's GPU object must outlive everything made from it: collected early, it crashes the process.
globalThis.dawn = create(['enable-dawn-features=allow_unsafe_apis'])
const adapter = await globalThis.dawn.requestAdapter()
const info = adapter && { vendor: adapter.info.vendor, description: adapter.info.description }
process.stdout.write(`\nadapter: ${JSON.stringify(info)}\n`)
