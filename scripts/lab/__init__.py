"""Real programs in closed network namespaces, and the recording of what they send."""
