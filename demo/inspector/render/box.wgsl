// Rounded boxes, one instance each: a fill and a border whose width does not change with the zoom.
struct View {
  clip_from_world: mat4x4f,
  // Device pixels of a world unit, and of a CSS pixel.
  scale: f32,
  dpr: f32,
}
@group(0) @binding(0) var<uniform> view: View;

struct Box {
  // x, y, width, height
  @location(0) rect: vec4f,
  @location(1) fill: vec4f,
  @location(2) stroke: vec4f,
  // Radius in world units, border in CSS pixels.
  @location(3) shape: vec2f,
}

struct Pixel {
  @builtin(position) position: vec4f,
  @location(0) offset: vec2f,
  @location(1) @interpolate(flat) half_size: vec2f,
  @location(2) @interpolate(flat) fill: vec4f,
  @location(3) @interpolate(flat) stroke: vec4f,
  @location(4) @interpolate(flat) shape: vec2f,
}

@vertex fn vertex(@builtin(vertex_index) index: u32, box: Box) -> Pixel {
  let corner = vec2f(f32(index & 1u), f32(index >> 1u)) * 2.0 - 1.0;
  let half_size = box.rect.zw * 0.5;
  // Room for the smooth edge.
  let offset = corner * (half_size + 1.5 / view.scale);
  let world = box.rect.xy + half_size + offset;
  return Pixel(view.clip_from_world * vec4f(world, 0.0, 1.0), offset, half_size, box.fill, box.stroke, box.shape);
}

@fragment fn fragment(pixel: Pixel) -> @location(0) vec4f {
  let radius = min(pixel.shape.x, min(pixel.half_size.x, pixel.half_size.y));
  let q = abs(pixel.offset) - pixel.half_size + radius;
  let distance = (length(max(q, vec2f())) + min(max(q.x, q.y), 0.0) - radius) * view.scale;
  let inside = clamp(0.5 - distance, 0.0, 1.0);
  let border = clamp(0.5 + distance + pixel.shape.y * view.dpr, 0.0, 1.0);
  let colour = mix(pixel.fill, pixel.stroke, border * f32(pixel.shape.y > 0.0));
  return vec4f(colour.rgb, 1.0) * (colour.a * inside);
}
