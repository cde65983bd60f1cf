"""The fault suite: what breaks in operation is broken on purpose, under load, and the books are checked afterwards.

    python -m benchmarks.chaos --list
    python -m benchmarks.chaos --only postgres-stopped
    python -m benchmarks.chaos --quick

Each scenario starts a Telltale of its own in a temporary home, lets senders work as exporters do (benchmarks/_senders),
breaks something, mends it, and looks (benchmarks/_checks): nothing lost, nothing twice, sums right, every answer 2xx or
retryable, work going on again within 30 s. docs/chaos.md says what each one does.
"""
