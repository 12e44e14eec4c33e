"""Whole stacks for tests, by the `watchtime` command."""
