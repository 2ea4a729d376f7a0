"""What runs tell the world: log records, and spans for OpenTelemetry. Both are made from events and from outward calls."""
