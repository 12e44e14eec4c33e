"""The stream stage: folds `watch.events` into partial counters and sums those into daily rows."""
