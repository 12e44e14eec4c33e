"""The HTTP front of the pipeline: takes events, judges them, publishes them to `watch.events`."""
