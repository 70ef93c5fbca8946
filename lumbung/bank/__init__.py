"""A bank's host for tests: speaks a spec file, answers by a table, breaks on purpose."""
