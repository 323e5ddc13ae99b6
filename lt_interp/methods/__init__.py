"""One question a file: functions from trained stages and token rows to a `Result`."""
