"""The door: OTLP and native JSON over HTTP, committed before the sender hears "OK"."""
