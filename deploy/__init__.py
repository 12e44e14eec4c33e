"""The `watchtime` command and all that starts, stops and inspects the stages."""
