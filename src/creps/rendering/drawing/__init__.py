"""How pixels come about, fast: prepared latents, lines, tables, tiles side by side."""
