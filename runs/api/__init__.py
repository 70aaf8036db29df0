"""The API of whatever creates or reads runs, whatever its path (docs/api.md)."""
