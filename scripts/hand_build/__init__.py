"""The default hand's workshop: anatomy, surface, triangles, weights, proportions, correctives, skin picture."""
