"""The API's addresses about triggers and keys themselves."""
