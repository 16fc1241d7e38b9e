"""Writing results: JSON lines, tables, meshes, animations, videos."""
