// Devices for tests: one Dawn device a half mode and process, and the name of the adapter under test.

import { openDawnDevice } from '../../src/device/dawn/dawn.ts'
import type { Device } from '../../src/device/device.ts'
import type { HalfMode } from '../../src/device/webgpu/capabilities.ts'

const open = new Map<HalfMode, Promise<Device>>()

/** The adapter that VK_DRIVER_FILES leaves, or the default one; shared by the tests of a file. */
export function testDevice(half: HalfMode = 'packed'): Promise<Device> {
  let device = open.get(half)
  if (device === undefined) {
    device = openDawnDevice({ half })
    open.set(half, device)
  }
  return device
}
