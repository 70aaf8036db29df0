"""Events: outside messages that may start runs. How they are signed, read, filtered and shown."""
