"""The trace collector: takes spans over OTLP, keeps them, answers as Jaeger does."""
