"""The query stage: tables, views and queries over the lake, on Athena and locally."""
