"""What the published figures are made with. Each module is a command, started in the root of a checkout:
`python -m benchmarks.features --help`. The records they write are in benchmarks/results/, and
`python -m benchmarks.report` makes docs/performance.md from them.
"""
