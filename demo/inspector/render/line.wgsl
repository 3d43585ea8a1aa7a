// Thick segments with round ends, one instance each; never thinner than a pixel.
struct View {
  clip_from_world: mat4x4f,
  // Device pixels of a world unit, and of a CSS pixel.
  scale: f32,
  dpr: f32,
}
@group(0) @binding(0) var<uniform> view: View;

struct Segment {
  @location(0) from_to: vec4f,
  @location(1) colour: vec4f,
  // World units.
  @location(2) width: f32,
}

struct Pixel {
  @builtin(position) position: vec4f,
  // Device pixels along and across, from the beginning.
  @location(0) place: vec2f,
  @location(1) @interpolate(flat) length: f32,
  @location(2) @interpolate(flat) radius: f32,
  @location(3) @interpolate(flat) colour: vec4f,
}

@vertex fn vertex(@builtin(vertex_index) index: u32, segment: Segment) -> Pixel {
  let a = segment.from_to.xy;
  let way = segment.from_to.zw - a;
  let size = max(length(way), 1e-6);
  let along = way / size;
  let across = vec2f(-along.y, along.x);
  let radius = max(segment.width * view.scale, 0.9 * view.dpr) * 0.5;
  let reach = radius + 1.0;
  let x = select(-reach, size * view.scale + reach, (index & 1u) == 1u);
  let y = select(-reach, reach, index >= 2u);
  let world = a + (along * x + across * y) / view.scale;
  return Pixel(view.clip_from_world * vec4f(world, 0.0, 1.0), vec2f(x, y), size * view.scale, radius, segment.colour);
}

@fragment fn fragment(pixel: Pixel) -> @location(0) vec4f {
  let nearest = vec2f(clamp(pixel.place.x, 0.0, pixel.length), 0.0);
  let alpha = clamp(pixel.radius + 0.5 - distance(pixel.place, nearest), 0.0, 1.0) * pixel.colour.a;
  return vec4f(pixel.colour.rgb, 1.0) * alpha;
}
