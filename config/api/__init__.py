"""How the whole API reads, lists, filters, refuses and describes itself."""
