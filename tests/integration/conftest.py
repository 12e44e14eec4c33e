"""Fixtures of the integration tests are in tests/servers.py and tests/stacks.py: fault tests use the same ones."""
