// Computes y[r] = table[rows[r] - FIRST_ROW]; rows outside the table give previous[r], or zeros without HAS_PREVIOUS.
// Serves embedding and gatherRows.
// Layout: table [TABLE_ROWS, width], previous and y [rows, width]. One invocation a Pack of one row.

@compute @workgroup_size(WG_X)
fn main(@builtin(global_invocation_id) gid: vec3<u32>) {
  let column = gid.x;
  let r = gid.y;
  if (column >= PACKS) {
    return;
  }
  let row = load_rows(r) - i32(FIRST_ROW);
  var value = Pack();
  if (row >= 0 && u32(row) < TABLE_ROWS) {
    value = load_table(table_offset + u32(row) * table_stride + column);
  }
#if HAS_PREVIOUS
  else {
    value = load_previous(previous_offset + r * previous_stride + column);
  }
#endif
  store_y(y_offset + r * y_stride + column, value);
}
